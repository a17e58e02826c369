package handover

import (
	"regexp"
	"strings"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/fleet"
	"gke-credential-rotator/policy/record"
)

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

type shell struct{ h record.HandOver }

func (s shell) where() string {
	return "--location=" + words.Quote(s.h.Cluster.Location) + " --project=" + words.Quote(s.h.Cluster.Project)
}

func (s shell) name() string { return words.Quote(s.h.Cluster.Name) }

// context is what gcloud calls the cluster in a kubeconfig.
func (s shell) context() string {
	return words.Quote("gke_" + s.h.Cluster.Project + "_" + s.h.Cluster.Location + "_" + s.h.Cluster.Name)
}

func (s shell) kubectl(args string) string { return "kubectl --context=" + s.context() + " " + args }

func (s shell) getCredentials(more string) string {
	return "gcloud container clusters get-credentials " + s.name() + " " + s.where() + more
}

// whichCA is a function for the shell that says of each certificate it is given
// whether it is the old CA or the new one. openssl reads only the first
// certificate of a file, and during a rotation there are two.
func (s shell) whichCA() string {
	var known string
	for _, ca := range []struct {
		of   fleet.CA
		word string
	}{{s.h.NewCA, "new CA"}, {s.h.OldCA, "old CA"}} {
		if hexDigest.MatchString(string(ca.of.Fingerprint)) {
			known += " \\\n        -e 's/^" + string(ca.of.Fingerprint) + "$/" + ca.word + "/'"
		}
	}
	return `which_ca() {
  awk '/BEGIN CERT/ {c = ""} {c = c $0 "\n"}
       /END CERT/ {print c | "openssl x509 -noout -sha256 -fingerprint"
                   close("openssl x509 -noout -sha256 -fingerprint")}' |
    sed -e 's/.*=//' -e 's/://g' | tr 'A-F' 'a-f' |
    sed -e 's/^$/no certificate/'` + known + `
}`
}

// bundle prints the cluster's CA bundle: old and new until the completion.
func (s shell) bundle() string {
	return "gcloud container clusters describe " + s.name() + " " + s.where() +
		" \\\n  --format='value(masterAuth.clusterCaCertificate)' | base64 -d"
}

// caBundles prints what holds a copy of the old CA and not of the new one.
func (s shell) caBundles() string {
	list := func(resource, bundle string) string {
		return "  " + s.kubectl("get "+resource) + " \\\n    -o go-template='{{range .items}}" + bundle + "{{end}}'"
	}
	const hooks = `{{$kind := .kind}}{{$name := .metadata.name}}{{range .webhooks}}{{with .clientConfig.caBundle}}{{$kind}}/{{$name}} {{.}}{{"\n"}}{{end}}{{end}}`
	const services = `{{$name := .metadata.name}}{{with .spec.caBundle}}APIService/{{$name}} {{.}}{{"\n"}}{{end}}`
	const conversions = `{{$name := .metadata.name}}{{with .spec.conversion}}{{with .webhook}}{{with .clientConfig}}{{with .caBundle}}CRD/{{$name}} {{.}}{{"\n"}}{{end}}{{end}}{{end}}{{end}}`
	return "{\n" + strings.Join([]string{
		list("validatingwebhookconfigurations,mutatingwebhookconfigurations", hooks),
		list("apiservices", services),
		list("customresourcedefinitions", conversions),
	}, "\n") + `
} | while read -r what bundle; do
  printf '%s: %s\n' "$what" "$(printf '%s' "$bundle" | base64 -d | which_ca | paste -s -d, -)"
done | grep -v 'new CA' | grep 'old CA'`
}

// audited prints fields of what the cluster's audit log has for a filter, counted.
func (s shell) audited(filter, days, fields string) string {
	value := func(text string) string { // of Cloud Logging's query language
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
	filter = `resource.type="k8s_cluster" resource.labels.cluster_name=` + value(s.h.Cluster.Name) +
		` resource.labels.location=` + value(s.h.Cluster.Location) + " " + filter
	return "gcloud logging read " + words.Quote(filter) + " \\\n  --project=" + words.Quote(s.h.Cluster.Project) +
		" --freshness=" + days + " --limit=5000 \\\n  --format='value(" + fields + ")' |\n  sort | uniq -c | sort -rn | head -50"
}

const caller = "protoPayload.authenticationInfo.principalEmail,protoPayload.requestMetadata.callerIp,protoPayload.requestMetadata.callerSuppliedUserAgent"

// callers prints who spoke to the API server with a static token, and from where. The
// tokens that every pod is given, and that renew themselves, have no such label.
func (s shell) callers() string {
	return s.audited(`labels."authentication.k8s.io/legacy-token":*`, "7d", caller)
}

// usedSecrets prints the Secrets whose tokens the API server saw used.
func (s shell) usedSecrets() string {
	return s.audited(`protoPayload.methodName="io.k8s.core.v1.secrets.patch" `+
		`protoPayload.authenticationInfo.principalEmail="system:apiserver"`, "14d", "protoPayload.resourceName")
}

// signed prints who asked for client certificates or approved them.
func (s shell) signed() string {
	return s.audited(`protoPayload.methodName=~"certificatesigningrequests\.(create|approval\.update)$" `+
		`NOT protoPayload.authenticationInfo.principalEmail=~"^(system:node:|kubelet)"`, "400d",
		"protoPayload.resourceName,"+caller)
}
