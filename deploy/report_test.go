package deploy_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	run "google.golang.org/api/run/v1"
)

// TestReportBucket: with REPORT_BUCKET the job mounts it where its setting says
// that the report goes; without, the job is as it was.
func TestReportBucket(t *testing.T) {
	root := copyProject(t)
	render := func(more string) *run.TaskSpec {
		writeEnv(t, root, "test", goodSettings+more)
		var job run.Job
		strictly(t, "the job", rendered(t, root, "test", "r.example/i/i"+digest), &job)
		return job.Spec.Template.Spec.Template.Spec
	}
	report := func(task *run.TaskSpec) string {
		i := slices.IndexFunc(task.Containers[0].Env,
			func(v *run.EnvVar) bool { return v.Name == "ROTATOR_REPORT" })
		if i < 0 {
			return ""
		}
		return task.Containers[0].Env[i].Value
	}
	if task := render(""); len(task.Volumes)+len(task.Containers[0].VolumeMounts) > 0 || report(task) != "" {
		t.Errorf("a volume that nobody asked for: %s", report(task))
	}
	task := render("REPORT_BUCKET=acme-reports\n")
	if len(task.Volumes) != 1 || len(task.Containers[0].VolumeMounts) != 1 {
		t.Fatal("there is no volume, or none is mounted")
	}
	volume, mount := task.Volumes[0], task.Containers[0].VolumeMounts[0]
	if volume.Csi == nil || volume.Csi.Driver != "gcsfuse.run.googleapis.com" ||
		volume.Csi.VolumeAttributes["bucketName"] != "acme-reports" || volume.Csi.ReadOnly {
		t.Errorf("the volume is %+v", volume.Csi)
	}
	if mount.Name != volume.Name || !strings.HasPrefix(report(task), mount.MountPath+"/") || mount.ReadOnly {
		t.Errorf("the report goes to %s, and mounted is %s at %s", report(task), mount.Name, mount.MountPath)
	}
	dockerfile, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	uid, gid, _ := strings.Cut(volume.Csi.VolumeAttributes["mountOptions"], ",")
	if !strings.Contains(string(dockerfile), "USER "+strings.TrimPrefix(uid, "uid=")+":"+strings.TrimPrefix(gid,
		"gid=")+"\n") {
		t.Errorf("mounted for %s,%s, who is not the image's user", uid, gid)
	}
}
