package cloudfake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"reflect"
	"strings"

	build "google.golang.org/api/cloudbuild/v1"
)

const buildService = "cloudbuild.googleapis.com"

func buildRoutes() []route {
	list := []route{
		{"containeranalysis", get, "v1/projects/*/occurrences", "", emptyList},
		{"containeranalysis", get, "v1beta1/projects/*/occurrences", "", emptyList},
		{"storage", get, "storage/v1/b", "", getBuckets},
		{"storage", post, "storage/v1/b", "", createBucket},
		{"storage", get, "storage/v1/b/*", "", getBucket},
		{"storage", get, "storage/v1/b/*/o", "", emptyList},
		{"storage", get, "storage/v1/b/*/o/*", "", getMedia},
	}
	for _, path := range []string{"upload/storage/v1/b/*/o", "resumable/upload/storage/v1/b/*/o",
		"storage/v1/upload/storage/v1/b/*/o"} {
		list = append(list, route{"storage", post, path, "", upload},
			route{"storage", http.MethodPut, path, "", upload})
	}
	for _, parent := range []string{"v1/projects/*/", "v1/projects/*/locations/*/"} {
		list = append(list,
			route{"cloudbuild", post, parent + "builds", buildService, createBuild},
			route{"cloudbuild", post, parent + "triggers/*:run", buildService, runTrigger})
	}
	return list
}

func emptyList(*Fake, *call) (any, error) { return object{}, nil }

// createBuild runs a build to its end. Its images are in the registry afterwards.
func createBuild(f *Fake, c *call) (any, error) {
	if err := strict(c.body, reflect.TypeFor[build.Build](), "build"); err != nil {
		return nil, err
	}
	return f.startBuild(joinFrom(c.path, 1), maps.Clone(c.body))
}

func (f *Fake) startBuild(collection string, b object) (any, error) {
	segs := strings.Split(collection, "/")
	project := segs[1]
	id := fmt.Sprintf("00000000-0000-4000-b000-%012d", f.next())
	builtins := object{"PROJECT_ID": project, "PROJECT_NUMBER": fmt.Sprint(f.find(project).number),
		"BUILD_ID": id, "LOCATION": "global"}
	if len(segs) > 3 {
		builtins["LOCATION"] = segs[3]
	}
	if err := f.substitute(b, builtins); err != nil {
		return nil, err
	}
	if err := f.ownAccount(b); err != nil {
		return nil, err
	}
	b["id"], b["projectId"], b["name"] = id, project, collection+"/"+id
	b["createTime"], b["startTime"], b["finishTime"] = f.now(), f.now(), f.now()
	b["logUrl"] = "https://console.cloud.google.com/cloud-build/builds/" + id
	if bucket, ok := b["logsBucket"].(string); ok {
		b["logsBucket"] = strings.TrimPrefix(bucket, "gs://")
	}
	var err error
	if f.BuildResult != nil {
		err = f.BuildResult(b)
	}
	if err == nil {
		err = f.pushImages(b)
	}
	b["status"] = "SUCCESS"
	if err != nil {
		b["status"], b["statusDetail"] = "FAILURE", err.Error()
		b["failureInfo"] = object{"type": "USER_BUILD_STEP", "detail": err.Error()}
	}
	f.put("cloudbuild/"+collection+"/"+id, b)
	if other := "projects/" + project + "/builds"; other != collection {
		f.put("cloudbuild/"+other+"/"+id, b)
	}
	return object{
		"name": "operations/build/" + project + "/" + id, "done": true, "response": b,
		"metadata": object{"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata",
			"build": b},
	}, nil
}

// ownAccount refuses a build under an account that is not there, and one that does
// not say where its logs go although it has an account of its own.
func (f *Fake) ownAccount(b object) error {
	account, _ := b["serviceAccount"].(string)
	if account == "" {
		return nil
	}
	options, _ := b["options"].(object)
	if options["logging"] == nil && b["logsBucket"] == nil && options["defaultLogsBucketBehavior"] == nil {
		return InvalidArgument("if 'build.service_account' is specified, the build must either (a) specify 'build.logs_bucket', (b) use the REGIONAL_USER_OWNED_BUCKET build.options.default_logs_bucket_behavior option, or (c) use either CLOUD_LOGGING_ONLY / NONE logging options")
	}
	return f.memberExists("serviceAccount:" + account[strings.LastIndex(account, "/")+1:])
}

// pushImages puts a build's images into the registry. A repository with immutable
// tags does not take a tag twice.
func (f *Fake) pushImages(b object) error {
	images, _ := b["images"].([]any)
	var pushed []any
	for _, image := range images {
		name := fmt.Sprint(image)
		repo, pkg, tag := registry(name)
		docker, _ := f.objects["artifactregistry/"+repo]["dockerConfig"].(object)
		if _, taken := f.objects["artifactregistry/"+pkg+"/tags/"+tag]; taken && docker["immutableTags"] == true {
			return FailedPrecondition("cannot update tag %s. The repository has enabled tag immutability", tag)
		}
		pushed = append(pushed, object{"name": name, "digest": f.addImage(name)})
	}
	b["results"] = object{"images": pushed}
	return nil
}

// registry is where Artifact Registry keeps an image of a name with a tag.
func registry(name string) (repo, pkg, tag string) {
	path, tag, _ := strings.Cut(name, ":")
	segs := strings.SplitN(path, "/", 4)
	if len(segs) < 4 {
		return "", "", tag
	}
	location, _, _ := strings.Cut(segs[0], "-docker.")
	repo = "projects/" + segs[1] + "/locations/" + location + "/repositories/" + segs[2]
	return repo, repo + "/packages/" + segs[3], tag
}

// AddImage puts an image "LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG"
// into the registry and says its digest.
func (f *Fake) AddImage(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addImage(name)
}

func (f *Fake) addImage(name string) string {
	sum := sha256.Sum256([]byte(name))
	digest := "sha256:" + hex.EncodeToString(sum[:])
	repo, pkg, tag := registry(name)
	if repo == "" {
		return digest
	}
	path, _, _ := strings.Cut(name, ":")
	image := pkg[strings.Index(pkg, "/packages/")+len("/packages/"):]
	f.put("artifactregistry/"+pkg+"/versions/"+digest,
		object{"name": pkg + "/versions/" + digest, "createTime": f.now()})
	f.put("artifactregistry/"+repo+"/dockerImages/"+image+"@"+digest, object{
		"name": repo + "/dockerImages/" + image + "@" + digest, "uri": path + "@" + digest, "tags": []any{tag},
		"uploadTime": f.now(),
	})
	if tag != "" {
		f.put("artifactregistry/"+pkg+"/tags/"+tag,
			object{"name": pkg + "/tags/" + tag, "version": pkg + "/versions/" + digest})
	}
	return digest
}

func triggerID(f *Fake, _ *call, _ object) string {
	return fmt.Sprintf("00000000-0000-4000-c000-%012d", f.next())
}

// triggerAlias finds a trigger by its name or id.
func triggerAlias(f *Fake, name string) string {
	collection, id, _ := strings.Cut(name, "/triggers/")
	for _, o := range f.under("cloudbuild/" + collection + "/triggers/") {
		if o["name"] == id {
			return collection + "/triggers/" + fmt.Sprint(o["id"])
		}
	}
	return name
}

func triggerCreated(f *Fake, name string, o object) error {
	collection, id, _ := strings.Cut(name, "/triggers/")
	if o["name"] == nil {
		return InvalidArgument("A trigger needs a name.")
	}
	for _, other := range f.under("cloudbuild/" + collection + "/triggers/") {
		if other["name"] == o["name"] {
			return AlreadyExists(fmt.Sprint(o["name"]))
		}
	}
	account, _ := o["serviceAccount"].(string)
	if err := f.memberExists("serviceAccount:" + account[strings.LastIndex(account, "/")+1:]); err != nil {
		return err
	}
	o["id"], o["resourceName"], o["createTime"] = id, name, f.now()
	return nil
}

func triggerChanged(_ *Fake, _ *call, old, o object) error {
	for _, key := range []string{"name", "id", "resourceName", "createTime"} {
		o[key] = old[key]
	}
	return nil
}

func runTrigger(f *Fake, c *call) (any, error) {
	path, _ := cutVerb(joinFrom(c.path, 1))
	name := triggerAlias(f, path)
	o, ok := f.objects["cloudbuild/"+name]
	if !ok {
		return nil, NotFound(path)
	}
	collection, _, _ := strings.Cut(name, "/triggers/")
	b := object{"buildTriggerId": o["id"], "substitutions": o["substitutions"],
		"serviceAccount": o["serviceAccount"], "options": object{"logging": "CLOUD_LOGGING_ONLY"}}
	return f.startBuild(collection+"/builds", b)
}

func getBuckets(f *Fake, c *call) (any, error) {
	var list []any
	for _, o := range f.under("storage/b/") {
		if o["project"] == c.query.Get("project") {
			list = append(list, o)
		}
	}
	return object{"items": list}, nil
}

func createBucket(f *Fake, c *call) (any, error) {
	name := fmt.Sprint(c.body["name"])
	if f.objects["storage/b/"+name] != nil {
		return nil, AlreadyExists(name)
	}
	o := maps.Clone(c.body)
	o["id"], o["project"], o["kind"] = name, c.query.Get("project"), "storage#bucket"
	f.put("storage/b/"+name, o)
	return o, nil
}

func getBucket(f *Fake, c *call) (any, error) {
	if o := f.objects["storage/b/"+c.vars[0]]; o != nil {
		return o, nil
	}
	return nil, NotFound(c.vars[0])
}

// upload takes an object in one piece, or begins a resumable one.
func upload(f *Fake, c *call) (any, error) {
	if f.objects["storage/b/"+c.vars[0]] == nil {
		return nil, NotFound(c.vars[0])
	}
	name := c.query.Get("name")
	data := c.raw
	if c.query.Get("uploadType") == "multipart" {
		inside, bytes, err := twoParts(c)
		if err != nil {
			return nil, InvalidArgument("%v", err)
		}
		if data = bytes; name == "" {
			name = inside
		}
	}
	o := object{
		"kind": "storage#object", "bucket": c.vars[0], "name": name, "id": c.vars[0] + "/" + name,
		"generation": fmt.Sprint(f.next()), "size": fmt.Sprint(len(data)), "timeCreated": f.now(),
	}
	f.objects["media/"+c.vars[0]+"/"+name] = object{"meta": o, "data": data}
	return o, nil
}

// twoParts splits an upload into its object's name and its bytes.
func twoParts(c *call) (name string, data []byte, err error) {
	// gcloud puts it into single quotes, which the mime package does not know.
	_, boundary, _ := strings.Cut(c.header.Get("Content-Type"), "boundary=")
	parts := multipart.NewReader(bytes.NewReader(c.raw), strings.Trim(boundary, `"'`))
	meta, err := parts.NextPart()
	if err != nil {
		return "", nil, err
	}
	var o struct{ Name string }
	if err := json.NewDecoder(meta).Decode(&o); err != nil {
		return "", nil, err
	}
	media, err := parts.NextPart()
	if err != nil {
		return "", nil, err
	}
	data, err = io.ReadAll(media)
	return o.Name, data, err
}

func getMedia(f *Fake, c *call) (any, error) {
	o := f.objects["media/"+c.vars[0]+"/"+c.vars[1]]
	if o == nil {
		return nil, NotFound(c.vars[0] + "/" + c.vars[1])
	}
	if c.query.Get("alt") == "media" {
		return o["data"].([]byte), nil
	}
	return o["meta"], nil
}
