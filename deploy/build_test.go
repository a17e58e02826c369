package deploy_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/api/cloudbuild/v1"
	"sigs.k8s.io/yaml"
)

// cloudBuild is a build as its file describes it.
type cloudBuild struct {
	cloudbuild.Build
	file string
	text string
}

func readBuild(file string) (*cloudBuild, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b := &cloudBuild{file: strings.TrimPrefix(file, "../"), text: string(text)}
	return b, yaml.UnmarshalStrict(text, &b.Build)
}

// buildSubstitutions are what Cloud Build and a trigger would give.
func buildSubstitutions() map[string]string {
	return map[string]string{
		"PROJECT_ID": "acme-rotator-build", "LOCATION": "europe-west1", "COMMIT_SHA": commit,
		"_SOURCE_URL": "https://github.com/acme/gke-credential-rotator",
	}
}

func (b *cloudBuild) step(id string) *cloudbuild.BuildStep {
	for _, s := range b.Steps {
		if s.Id == id {
			return s
		}
	}
	panic(b.file + " has no step " + id)
}

var reference = regexp.MustCompile(`\$\$|\$\{(\w+)\}|\$(\w+)`)

// substituted is a text as Cloud Build substitutes it: given ones first, then
// the file's own, whose values may name others (dynamicSubstitutions). What
// nobody gives is empty, as in a trigger.
func (b *cloudBuild) substituted(text string, given map[string]string) string {
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		if ref == "$$" {
			return "$"
		}
		name := strings.Trim(ref, "${}")
		if value, is := given[name]; is {
			return value
		}
		return b.substituted(b.Substitutions[name], given)
	})
}

// references are the substitutions that a build's fields name. Scripts are not
// substituted.
func (b *cloudBuild) references() []string {
	fields := append([]string{b.ServiceAccount}, b.Images...)
	fields = append(fields, b.Options.Env...)
	for _, s := range b.Steps {
		fields = slices.Concat(fields, s.Args, s.Env, []string{s.Name, s.Dir, s.Entrypoint})
	}
	found := map[string]bool{}
	for _, field := range fields {
		for _, m := range reference.FindAllStringSubmatch(field, -1) {
			found[m[1]+m[2]] = true
		}
	}
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}

// run runs one step's script here as Cloud Build would in the step's image:
// unchanged, in the working directory, with the environment that the file names
// and nothing else but what replaces the image.
func (b *cloudBuild) run(id, dir string, given map[string]string, replaced ...string) (string, error) {
	s := b.step(id)
	if s.Script == "" || s.Entrypoint != "" || len(s.Args) > 0 {
		return "", fmt.Errorf("%s: step %s is not a script", b.file, id)
	}
	file, err := os.CreateTemp("", "step-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(s.Script)
	if err := errors.Join(err, file.Chmod(0o700), file.Close()); err != nil {
		return "", err
	}
	cmd := exec.Command(file.Name()) // so that its first line says what runs it
	cmd.Dir = dir
	cmd.Env = append([]string{"HOME=" + filepath.Dir(file.Name())}, replaced...)
	for _, e := range slices.Concat(b.Options.Env, s.Env) {
		cmd.Env = append(cmd.Env, b.substituted(e, given))
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
