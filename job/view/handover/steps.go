package handover

import (
	"cmp"
	"slices"
	"time"

	"gke-credential-rotator/job/words"
	"gke-credential-rotator/policy/record"
)

// clients lists who holds a credential, an address or a copy of the CA, in the
// order in which to see to them.
func clients(h record.HandOver) []Step {
	s := shell{h}
	steps := []Step{s.check(), s.tokens(), s.caBundleStep(), s.kubeconfigs(), s.pipelines(), s.managers(),
		s.mesh(), s.vault(), s.terraform(), s.certificates()}
	if moved(h) {
		steps = append(steps, s.network())
	}
	steps = append(steps, s.verifiers(), s.inside())
	if h.DNS != "" {
		steps = append(steps, s.dnsUsers())
	}
	return steps
}

func (s shell) check() Step {
	server := "https://" + s.h.NewEndpoint
	why := "For the commands below, once in each shell (bash, openssl). A client is ready when its file says `new CA`; with both it is ready, too."
	why += words.If(s.h.NewEndpoint != "", " Its server is to be "+code(server)+".")
	return Step{"check", "Tell old from new", why, []Command{
		{"says of each certificate which CA it is", s.whichCA()},
		{"the bundle that the cluster hands out now", s.bundle() + " | which_ca"},
	}}
}

func (s shell) tokens() Step {
	return Step{"static-tokens", "Static ServiceAccount tokens",
		"Secrets of type `kubernetes.io/service-account-token`: the old ones end at the completion, and recreated now they are signed with the new key. " +
			"A refilled Secret ends its old token within about ten seconds, so where its user cannot be switched in the same minute, make a second Secret for the account. " +
			"Copies live on in CI variables, secret managers and other clusters. Tokens of `kubectl create token` with a long life end as well, and nothing lists them.",
		[]Command{
			{"those that there are, and when they were last used", s.kubectl("get secrets --all-namespaces") + ` \
  --field-selector=type=kubernetes.io/service-account-token \
  -o custom-columns='NAMESPACE:.metadata.namespace,SECRET:.metadata.name,ACCOUNT:.metadata.annotations.kubernetes\.io/service-account\.name,USED:.metadata.labels.kubernetes\.io/legacy-token-last-used,CREATED:.metadata.creationTimestamp'`},
			{"refill one (write its NAMESPACE and SECRET)", s.kubectl("--namespace=NAMESPACE patch secret SECRET") + ` \
  --type=json --patch='[{"op": "remove", "path": "/data"}]'`},
			{"who uses such tokens, from where (reads only where Data Access logs are on)", s.callers()},
			{"the Secrets whose tokens were used, also for reads that are not logged: noted once a day", s.usedSecrets()},
		}}
}

func (s shell) caBundleStep() Step {
	return Step{"ca-bundles", "Webhooks, APIServices and CRD conversions",
		"A `caBundle` that was copied from the cluster's CA (kube-root-ca.crt, a token's ca.crt) goes on to work at the completion. It breaks when its server's certificate, where the cluster signed it, is renewed, for the new CA signs then; or when the old CA expires. Until then nothing breaks: renew certificate and `caBundle` together, with the installer, chart or CA injector that made them.",
		[]Command{{"those with the old CA and without the new one; nothing printed: none", s.caBundles()}}}
}

func (s shell) kubeconfigs() Step {
	why, flag := "Developers, bastions, jump hosts, runners, cron jobs: each file of its own.", " --internal-ip"
	if !private(s.h) {
		why, flag = why+" Where the private endpoint is used, add --internal-ip.", ""
	}
	var get []Command
	if s.h.NewEndpoint != "" || s.h.DNS == "" {
		get = append(get, Command{"fetch endpoint and bundle anew", s.getCredentials(flag)})
	}
	if s.h.DNS != "" && s.h.DNSExternal {
		// In a file of its own: gcloud gives both contexts one name.
		get = append(get, Command{"or by DNS, which no later rotation changes, into a file of its own",
			"KUBECONFIG=dns-endpoint.kubeconfig " + s.getCredentials(" --dns-endpoint")})
	}
	get = append(get, Command{"which CA the kubeconfig has", `kubectl config view --raw --minify --flatten --context=` + s.context() + ` \
  -o jsonpath='{.clusters[0].cluster.certificate-authority-data}' | base64 -d | which_ca`},
		Command{"which server it names", `kubectl config view --minify --context=` + s.context() + ` \
  -o jsonpath='{.clusters[0].cluster.server}{"\n"}'`})
	return Step{"kubeconfigs", "Kubeconfigs", why, get}
}

func (s shell) pipelines() Step {
	st := Step{"ci", "CI and CD",
		"GitLab, Jenkins, GitHub Actions, Spinnaker, Tekton: variables and secrets with the endpoint, the CA or a token. Run one pipeline after the change.", nil}
	if moved(s.h) {
		st.Commands = []Command{{"in each repository: the old endpoint",
			"git grep -nF -e " + words.Quote(s.h.OldEndpoint)}}
	}
	return st
}

func (s shell) managers() Step {
	st := Step{"managers", "Argo CD, Flux, Rancher and other clusters' managers",
		"They keep server, CA and token of this cluster in Secrets of the cluster that they run in. " +
			"Rancher: users report that its agent's own token ends at the completion, and the agent is cut off. Before it: refill the token Secrets in cattle-system as above, restart the agent, then try shell and logs in Rancher. " +
			"Connect: nothing is known of what a rotation does to its agent, so look at the fleet membership before and after.", []Command{
			{"Flux: remote kubeconfigs, in Flux's cluster", `kubectl get kustomizations.kustomize.toolkit.fluxcd.io,helmreleases.helm.toolkit.fluxcd.io --all-namespaces \
  -o custom-columns='KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name,SECRET:.spec.kubeConfig.secretRef.name'`},
		}}
	if moved(s.h) {
		st.Commands = append([]Command{{"Argo CD: is this cluster among its own? (in Argo CD's cluster)", `kubectl --namespace=argocd get secrets --selector=argocd.argoproj.io/secret-type=cluster \
  -o go-template='{{range .items}}{{.metadata.name}} {{base64decode .data.server}}{{"\n"}}{{end}}' | grep -F -e ` + words.Quote(s.h.OldEndpoint)}},
			st.Commands...)
	}
	st.Commands = append(st.Commands, Command{"Argo CD: add it anew", "argocd cluster add " + s.context() +
		" --upsert"}, Command{"Rancher: is its agent here?", s.kubectl("--namespace=cattle-system get deployments,secrets")},
		Command{"Rancher: restart it, with its new token", s.kubectl("--namespace=cattle-system rollout restart deployment/cattle-cluster-agent")})
	return st
}

func (s shell) mesh() Step {
	return Step{"mesh", "Istio and Service Mesh over several clusters",
		"Remote secrets with the endpoint, CA and token of this cluster lie in the *other* clusters of the mesh. `istioctl create-remote-secret` hands back the token that there is, so refill the Secret of the account istio-reader-service-account here first, as above: that ends the old token within seconds, so apply the new remote secret at once. istiod may need a restart to take it.",
		[]Command{
			{"those that there are (in each other cluster of the mesh)", "kubectl --namespace=istio-system get secrets --selector=istio/multiCluster=true"},
			{"restart istiod there, if it goes on with the old one", "kubectl --namespace=istio-system rollout restart deployment/istiod"},
		}}
}

func (s shell) vault() Step {
	host := cmp.Or(s.h.NewEndpoint, "HOST")
	return Step{"vault", "Vault's Kubernetes auth",
		"It keeps `kubernetes_host`, `kubernetes_ca_cert` and `token_reviewer_jwt`. Recreate the reviewer's token first; a write replaces all three. The mount may have another name than `kubernetes`.",
		[]Command{
			{"what it has", "vault read auth/kubernetes/config"},
			{"old and new CA into a file", s.bundle() + " > cluster-ca.crt"},
			{"write all three", "vault write auth/kubernetes/config kubernetes_host=" + words.Quote("https://"+host) +
				" \\\n  kubernetes_ca_cert=@cluster-ca.crt token_reviewer_jwt=@reviewer.jwt"},
		}}
}

func (s shell) terraform() Step {
	return Step{"terraform", "Terraform, Config Connector, Crossplane",
		"States keep endpoint and CA in attributes and outputs; kubernetes and helm providers made from them fail until they are refreshed. The state that has the cluster first, then those that read it.",
		[]Command{
			{"who reads them", "grep -rnE --include='*.tf' --include='*.tfvars' 'cluster_ca_certificate|client_key|kubernetes_host' ."},
			{"what a refresh changes, then the refresh",
				"terraform plan -refresh-only\nterraform apply -refresh-only"},
		}}
}

func (s shell) certificates() Step {
	return Step{"client-certificates", "Client certificates",
		"Those issued by the cluster through CertificateSigningRequests, and the cluster's own legacy one, end with the old CA: issue them anew. Requests are deleted an hour after they are approved; the audit log keeps them for 400 days.",
		[]Command{
			{"recent requests", s.kubectl("get certificatesigningrequests") + ` \
  -o custom-columns='NAME:.metadata.name,SIGNER:.spec.signerName,USER:.spec.username,CREATED:.metadata.creationTimestamp'`},
			{"users of a kubeconfig that have one",
				`kubectl config view -o jsonpath='{range .users[*]}{.name}{"\t"}{.user.client-certificate-data}{"\n"}{end}' | awk -F '\t' '$2 != "" {print $1}'`},
			{"was the cluster made with a legacy one? (True: yes)", "gcloud container clusters describe " + s.name() +
				" " + s.where() + " \\\n  --format='value(masterAuth.clientCertificateConfig.issueClientCertificate)'"},
			{"who had one made or approved, in 400 days", s.signed()},
		}}
}

func (s shell) network() Step {
	old, project := words.Quote(s.h.OldEndpoint), words.Quote(s.h.Cluster.Project)
	return Step{"network", "Firewalls, egress rules, allow-lists, DNS, probes",
		"Whatever names the old address " + code(s.h.OldEndpoint) + " must let " + code(s.h.NewEndpoint) +
			" through, before the completion: firewall and egress rules, proxies, NetworkPolicies, hosts files, private DNS records, monitoring. " +
			"Authorized networks of the cluster itself stay as they are.",
		[]Command{
			{"VPC firewall rules of the project", "gcloud compute firewall-rules list --project=" + project +
				" \\\n  --format='csv[no-heading](name,direction,destinationRanges.list(),sourceRanges.list())' | grep -F -e " + old},
			{"records of private and public zones", "gcloud dns managed-zones list --project=" + project +
				" --format='value(name)' |\n  while read -r zone; do\n    gcloud dns record-sets list --zone=\"$zone\" --project=" + project + " \\\n      --format='value(name,type,rrdatas.list())' </dev/null | grep -F -e " + old + "\n  done"},
			{"NetworkPolicies", s.kubectl("get networkpolicies --all-namespaces -o yaml") + " | grep -nF -e " + old},
		}}
}

func (s shell) verifiers() Step {
	return Step{"verifiers", "Verifiers of the cluster's tokens",
		"The keys that sign ServiceAccount tokens change, too. Systems that check such tokens with a stored key set (OIDC trust, gateways) need the new one; those that fetch it from the issuer do not.",
		[]Command{{"the key set now", s.kubectl("get --raw /openid/v1/jwks")}}}
}

func (s shell) inside() Step {
	return Step{"inside", "Long-lived clients inside the cluster",
		"metrics-server, konnectivity-agent and controllers that keep connections open: restart what logs x509 errors. Recreated nodes bring the rest.",
		[]Command{{"those that complain (write the NAMESPACE and DEPLOYMENT)",
			s.kubectl("--namespace=NAMESPACE logs deployment/DEPLOYMENT --since=1h") + " | grep -c x509"},
			{"restart", s.kubectl("--namespace=NAMESPACE rollout restart deployment/DEPLOYMENT")}}}
}

func (s shell) dnsUsers() Step {
	return Step{"dns-endpoint", "Users of the DNS endpoint",
		"Nothing is to be done for address and CA: " + code(s.h.DNS) +
			" outlives rotations, and Google's own certificate vouches for it. " +
			words.If(!s.h.DNSExternal, "It is reachable only from inside Google Cloud: external traffic is not allowed. ") +
			"Static tokens and client certificates end there as well.", nil}
}

func levers(h record.HandOver) []Step {
	if over(h) || h.Phase == record.Completing {
		return nil
	}
	s, cluster := shell{h}, words.Quote(h.Cluster.String())
	var out []Step
	switch {
	case h.Watched:
		out = append(out, Step{"adopt", "Have this tool manage it",
			"This tool only looks at this rotation: somebody else completes it, or GKE does. Adopted, it keeps to soak, windows and approvals from now on.",
			[]Command{{"adopt it", "rotator adopt " + cluster + " --by YOU --reason WHY"}}})
	case h.Approval:
		out = append(out, Step{"approve", "When clients are updated: approve",
			"This deployment completes nothing that nobody has approved. The yes holds for this attempt, until a node pool must be recreated again.",
			[]Command{{"approve the completion", "rotator approve " + cluster +
				" --by YOU --reason 'clients are updated'"}}})
	}
	ours, until := daysAfter(h.At, h.Completes), daysAfter(h.At, h.Completes, h.GKECompletes)
	if !h.Watched {
		out = append(out, Step{"hold", "Not ready: hold",
			"It stops every call of ours for this cluster, node work as well, until the date or `rotator release`. It does not stop GKE, which completes by itself.",
			[]Command{{"hold it", "rotator hold " + cluster + " --until " + ours.Format(time.DateOnly) +
				" --by YOU --reason WHY"}}})
	}
	return append(out, Step{"delay-gke", "Not ready, and GKE's own date is near: a maintenance exclusion",
		"Only an exclusion with scope no_upgrades delays GKE. It stops node recreation, too, and within 30 days of the CA's expiry GKE may pass over it. A cluster takes few of them: remove it when clients are ready.",
		[]Command{
			{"delay GKE until " + until.Format(time.DateOnly), "gcloud container clusters update " + s.name() + " " +
				s.where() + " \\\n  --add-maintenance-exclusion-name=rotation-clients --add-maintenance-exclusion-scope=no_upgrades \\\n  --add-maintenance-exclusion-start=" +
				h.At.UTC().Format(time.RFC3339) + " --add-maintenance-exclusion-end=" + until.Format(time.RFC3339)},
			{"end that", "gcloud container clusters update " + s.name() + " " + s.where() +
				" \\\n  --remove-maintenance-exclusion=rotation-clients"},
		}})
}

// daysAfter is a date some days after the last of the times: enough for people to
// talk.
func daysAfter(times ...time.Time) time.Time {
	last := slices.MaxFunc(times, time.Time.Compare)
	return last.UTC().Truncate(24*time.Hour).AddDate(0, 0, 3)
}
