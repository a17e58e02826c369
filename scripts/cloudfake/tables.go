package cloudfake

import (
	"net/http"
	"reflect"

	artifacts "google.golang.org/api/artifactregistry/v1"
	build "google.golang.org/api/cloudbuild/v1"
	scheduler "google.golang.org/api/cloudscheduler/v1"
	firestore "google.golang.org/api/firestore/v1"
	iam "google.golang.org/api/iam/v1"
	logging "google.golang.org/api/logging/v2"
	dashboards "google.golang.org/api/monitoring/v1"
	monitoring "google.golang.org/api/monitoring/v3"
	pubsub "google.golang.org/api/pubsub/v1"
	run "google.golang.org/api/run/v1"
)

// route is one method that is not one of a stored resource's own.
type route struct {
	api, method, path string
	service           string
	do                func(*Fake, *call) (any, error)
}

const (
	get  = http.MethodGet
	post = http.MethodPost
)

var (
	kinds  []*kind
	routes []route
)

func init() {
	kinds = slicesOf(iamKinds(), storedKinds(), firestoreKinds(), runKinds(), buildKinds())
	routes = slicesOf(projectRoutes(), iamRoutes(), runRoutes(), buildRoutes(), dataRoutes(), operationRoutes())
}

func slicesOf[T any](parts ...[]T) []T {
	var all []T
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func projectRoutes() []route {
	const api = "cloudresourcemanager"
	const usage, base = "serviceusage", "v1/projects/*/services"
	list := []route{
		{api, get, "v1/projects/*", "", getProject},
		{api, post, "v1/projects/*:getAncestry", "", getAncestry},
		{api, post, "v1/projects/*:undelete", "", undeleteProject},
		{api, get, "v2/folders/*", "", getContainer},
		{api, get, "v1/organizations/*", "", getContainer},
		{usage, get, base, "", listServices},
		{usage, get, base + "/*", "", getService},
		{usage, post, base + "/*:enable", "", enableServices},
		{usage, post, base + ":batchEnable", "", enableServices},
		{usage, post, "v1beta1/projects/*/services/*:generateServiceIdentity", "", makeAgent},
	}
	for _, verb := range []string{"getIamPolicy", "setIamPolicy"} {
		for _, parent := range []string{"v1/projects/*", "v2/folders/*", "v1/organizations/*"} {
			list = append(list, route{api, post, parent + ":" + verb, "", containerPolicy})
		}
	}
	return list
}

// operationRoutes answer the polling of long-running operations, which were all
// done when they were made.
func operationRoutes() []route {
	var list []route
	for _, api := range apis {
		for _, path := range []string{
			"v1/operations/*", "v1/projects/*/operations/*", "v1/projects/*/locations/*/operations/*",
			"v1/projects/*/databases/*/operations/*",
		} {
			list = append(list, route{api, get, path, "", func(f *Fake, c *call) (any, error) {
				name := joinFrom(c.path, 1)
				if op, ok := f.objects["operation/"+c.api+"/"+name]; ok {
					return op, nil
				}
				return nil, NotFound(name)
			}})
		}
		list = append(list, route{api, get, "v1/projects/*/locations", "", listLocations})
	}
	return list
}

// locations are where the fake's clouds are. Any other region works as well;
// gcloud only checks some commands' regions against this list.
var locations = []string{"europe", "europe-west1", "europe-west3", "europe-west4", "us", "us-central1",
	"us-east1"}

func listLocations(_ *Fake, c *call) (any, error) {
	var list []any
	for _, l := range locations {
		list = append(list, object{"name": "projects/" + c.vars[0] + "/locations/" + l, "locationId": l})
	}
	return object{"locations": list}, nil
}

// storedKinds are the kinds that are little more than a collection.
func storedKinds() []*kind {
	sinks := func(parent string) *kind {
		return &kind{
			api: "logging", version: "v2", parent: parent + "/*/sinks", service: "logging.googleapis.com",
			schema: reflect.TypeFor[logging.LogSink](), created: sinkCreated, changed: sinkChanged, ownName: true,
		}
	}
	return []*kind{
		{
			api: "artifactregistry", version: "v1", parent: "projects/*/locations/*/repositories",
			service: "artifactregistry.googleapis.com",
			schema:  reflect.TypeFor[artifacts.Repository](), idQuery: "repositoryId",
			op: "google.devtools.artifactregistry.v1.Repository", iam: true,
			created: func(f *Fake, _ string, o object) error {
				o["createTime"], o["updateTime"] = f.now(), f.now()
				return nil
			},
			changed: func(f *Fake, _ *call, _, o object) error {
				o["updateTime"] = f.now()
				return nil
			},
		},
		{
			api: "artifactregistry", version: "v1", parent: "projects/*/locations/*/repositories/*/packages/*/tags",
			service: "artifactregistry.googleapis.com",
			schema:  reflect.TypeFor[artifacts.Tag](), idQuery: "tagId",
		},
		{
			api: "artifactregistry", version: "v1",
			parent:  "projects/*/locations/*/repositories/*/packages/*/versions",
			service: "artifactregistry.googleapis.com",
		},
		{
			api: "artifactregistry", version: "v1", parent: "projects/*/locations/*/repositories/*/dockerImages",
			service: "artifactregistry.googleapis.com",
		},
		{
			api: "cloudscheduler", version: "v1", parent: "projects/*/locations/*/jobs",
			service: "cloudscheduler.googleapis.com",
			schema:  reflect.TypeFor[scheduler.Job](), created: scheduleCreated, changed: scheduleChanged,
		},
		{
			api: "monitoring", version: "v3", parent: "projects/*/alertPolicies", service: "monitoring.googleapis.com",
			schema: reflect.TypeFor[monitoring.AlertPolicy](), id: numbered, created: alertCreated,
			changed: alertChanged,
		},
		{
			api: "monitoring", version: "v3", parent: "projects/*/notificationChannels",
			service: "monitoring.googleapis.com",
			schema:  reflect.TypeFor[monitoring.NotificationChannel](), id: numbered, created: channelCreated,
			deleted: channelDeleted,
		},
		{
			api: "monitoring", version: "v1", parent: "projects/*/dashboards", service: "monitoring.googleapis.com",
			schema: reflect.TypeFor[dashboards.Dashboard](), id: dashboardID, created: dashboardCreated,
			changed: dashboardChanged,
		},
		{
			api: "pubsub", version: "v1", parent: "projects/*/topics", service: "pubsub.googleapis.com",
			schema: reflect.TypeFor[pubsub.Topic](), upsert: true, iam: true,
		},
		sinks("projects"), sinks("folders"), sinks("organizations"),
	}
}

func firestoreKinds() []*kind {
	const admin = "google.firestore.admin.v1."
	return []*kind{
		{
			api: "firestore", version: "v1", parent: "projects/*/databases", service: "firestore.googleapis.com",
			schema: reflect.TypeFor[firestore.GoogleFirestoreAdminV1Database](), idQuery: "databaseId",
			op:      admin + "Database",
			created: databaseCreated, changed: databaseChanged, deleted: databaseDeleted,
		},
		{
			api: "firestore", version: "v1", parent: "projects/*/databases/*/collectionGroups/*/fields",
			service: "firestore.googleapis.com",
			schema:  reflect.TypeFor[firestore.GoogleFirestoreAdminV1Field](), op: admin + "Field",
			missing: fieldMissing, changed: fieldChanged,
		},
	}
}

func runKinds() []*kind {
	return []*kind{
		{
			api: "run", version: "apis/run.googleapis.com/v1", parent: "namespaces/*/jobs",
			service: "run.googleapis.com",
			schema:  reflect.TypeFor[run.Job](), id: metadataName, list: "items", ownName: true, created: jobCreated,
			changed: jobChanged, deleted: jobDeleted,
		},
		{
			api: "run", version: "apis/run.googleapis.com/v1", parent: "namespaces/*/executions",
			service: "run.googleapis.com",
			list:    "items", hidden: otherJobs,
		},
	}
}

func iamKinds() []*kind {
	roles := func(parent, service string) *kind {
		return &kind{
			api: "iam", version: "v1", parent: parent + "/*/roles", service: service,
			schema: reflect.TypeFor[iam.Role](),
			id:     roleID, wrap: "role", created: roleCreated, changed: roleChanged, deleted: roleDeleted,
			hidden: roleHidden,
		}
	}
	return []*kind{
		{
			api: "iam", version: "v1", parent: "projects/*/serviceAccounts", service: "iam.googleapis.com",
			schema: reflect.TypeFor[iam.ServiceAccount](), list: "accounts", id: accountID, wrap: "serviceAccount",
			iam:     true,
			created: accountCreated, deleted: accountDeleted, alias: accountAlias,
		},
		roles("projects", "iam.googleapis.com"), roles("organizations", ""),
	}
}

func buildKinds() []*kind {
	const service = "cloudbuild.googleapis.com"
	var list []*kind
	for _, parent := range []string{"projects/*/locations/*/", "projects/*/"} {
		list = append(list,
			&kind{
				api: "cloudbuild", version: "v1", parent: parent + "triggers", service: service,
				schema: reflect.TypeFor[build.BuildTrigger](),
				id:     triggerID, alias: triggerAlias, created: triggerCreated, changed: triggerChanged, ownName: true,
			},
			&kind{api: "cloudbuild", version: "v1", parent: parent + "builds", service: service},
		)
	}
	return list
}
