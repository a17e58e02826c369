package config

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gke-credential-rotator/policy/record"
	"gke-credential-rotator/policy/rules"
)

// enough is the least that a deployment must say.
var enough = []string{"ROTATOR_ENV=test", "ROTATOR_PROJECTS=shop-prod, shop-dev"}

func TestDefaults(t *testing.T) {
	s, problems := readList(enough)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := s.Policy()
	if !slices.Equal(p.Projects, []string{"shop-prod", "shop-dev"}) {
		t.Errorf("projects %q: items are trimmed", p.Projects)
	}
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"MODE", s.Mode.V, Observe},
		{"SOAK", p.Soak, 72 * time.Hour},
		{"ROTATE_BEFORE_EXPIRY", p.RotateBeforeExpiry, 180 * day},
		{"MAX_CA_AGE", p.MaxCAAge, time.Duration(0)},
		{"EMERGENCY_BEFORE_EXPIRY", p.EmergencyBeforeExpiry, 45 * day},
		{"COMPLETE_WINDOW", p.CompleteWindow.String(), "Mon-Thu 09:00-15:00"},
		{"WINDOW", p.Window.String(), "always"},
		{"MAX_ACTIVE", p.MaxActive, 10},
		{"MAX_ACTIVE_PER_PROJECT", p.MaxActivePerProject, 2},
		{"MAX_ACTIVE_PER_LOCATION", p.MaxActivePerLocation, 0},
		{"POOLS_AT_ONCE", p.PoolsAtOnce, 0},
		{"APPROVAL", p.Approval, rules.ApproveNone},
		{"NODES", p.Nodes, rules.NodesAuto},
		{"ADOPT", p.Adopt, rules.AdoptWatch},
		{"OWNER_LABELS", p.OwnerLabels, rules.OwnerLabelsHold},
		{"STATE", s.State.V.File, "rotator-store.db"},
		{"DEADLINE", s.Deadline.V, 50 * time.Minute},
	} {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.what, c.got, c.want)
		}
	}
	if p.Compromised != nil || len(p.Waves) != 0 || len(p.Locations) != 0 {
		t.Error("compromised, waves and locations must be empty by default")
	}
}

// badSettings lists settings that must be refused, with a part of what is said.
var badSettings = []struct{ Set, says string }{
	{"ROTATOR_ENV=", "required"},
	{"ROTATOR_ENV=prod/eu", "is not a name"},
	{"ROTATOR_PROJECTS=", "required"},
	{"ROTATOR_PROJECTS=123456789012", "is not a project id"},
	{"ROTATOR_PROJECTS=shop-prod,,shop-dev", "a comma too many"},
	{"ROTATOR_LOCATIONS=europe", "is not a region or zone"},
	{"ROTATOR_SELECTOR=env in prod", "needs values in parentheses"},
	{"ROTATOR_MODE=Act", "did you mean act?"},
	{"ROTATOR_MODE=act", "ROTATOR_STATE=file:rotator-store.db: with ROTATOR_MODE=act against Google the store"},
	{"ROTATOR_ROTATE_BEFORE_EXPIRY=45d", "every due cluster would be an emergency"},
	{"ROTATOR_ROTATE_BEFORE_EXPIRY=180", "is not a duration"},
	{"ROTATOR_MAX_CA_AGE=7d", "may not be due again within 30d"},
	{"ROTATOR_ROTATE_ISSUED_BEFORE=20.11.2026", "neither a date"},
	{"ROTATOR_COMPROMISED=all", "Set ROTATOR_ROTATE_ISSUED_BEFORE too"},
	{"ROTATOR_SOAK_COMPROMISED=6d", "more than 5d"},
	{"ROTATOR_EMERGENCY_BEFORE_EXPIRY=31d", "not above 31d"},
	{"ROTATOR_EMERGENCY_MAX_ACTIVE=0", "not between 1 and"},
	{"ROTATOR_COMPROMISED_MAX_ACTIVE=981",
		"with ROTATOR_EMERGENCY_MAX_ACTIVE=10 and ROTATOR_MAX_ACTIVE=10 it allows 1001 rotations at once, and the store has room for 1000. Write at most 980"},
	{"ROTATOR_MAX_FAILED=201", "more than the 200 failures"},
	{"ROTATOR_WINDOW=Sat,Sun 2am-6am", "time of day"},
	{"ROTATOR_WINDOW=Sat 02:00-06:00 Europe/Pari", "unknown time zone"},
	{"ROTATOR_START_WINDOW=Caturday 02:00-06:00", "is not a day"},
	{"ROTATOR_COMPLETE_WINDOW=Mon 09:00-09:10", "no stretch of it is as long as"},
	{"ROTATOR_COMPLETE_WINDOW=", "set but empty"},
	{"ROTATOR_FREEZES=2027-01-04/2026-12-18", "ends before it begins"},
	{"ROTATOR_ZONAL_COMPLETE=always", "is not one of the choices"},
	{"ROTATOR_SOAK=8d", "it is more than 5d"},
	{"ROTATOR_SOAK=", "Remove it for its default 72h"},
	{"ROTATOR_APPROVAL=yes", "is not one of the choices"},
	{"ROTATOR_NODES=manual", "is not one of the choices"},
	{"ROTATOR_NODE_TIME=10s", "less than 1m"},
	{"ROTATOR_POOLS_AT_ONCE=0", "nor fit"},
	{"ROTATOR_POOLS_AT_ONCE=21", "at most 20"},
	{"ROTATOR_ADOPT=adopt", "is not one of the choices"},
	{"ROTATOR_OWNER_LABELS=approve", "is not one of the choices"},
	{"ROTATOR_MAX_ACTIVE=ten", "is not a whole number"},
	{"ROTATOR_MAX_ACTIVE_PER_PROJECT=-1", "nor off"},
	{"ROTATOR_MAX_FAILED=0", "not between 1 and"},
	{"ROTATOR_WAVES=env=dev > > env=prod", "a wave is empty"},
	{"ROTATOR_REPORT=/mnt/reports/", "ends in .html"},
	{"ROTATOR_REPORT=gs://bucket/page.html", "a bucket is mounted first"},
	{"ROTATOR_RECOMMENDER=mark", "is not one of the choices"},
	{"ROTATOR_STATE=/tmp/store.db", "neither a file nor a Firestore database"},
	{"ROTATOR_STATE=firestore://ops-prod", "is not a database id"},
	{"ROTATOR_STATE=file:///tmp/store.db", "without slashes before the path"},
	{"ROTATOR_EVERY=1m", "less than 5m"},
	{"ROTATOR_EVERY=30m", "runs would overlap"},
	{"ROTATOR_PARALLEL=1000", "more than 256"},
	{"ROTATOR_GKE_ENDPOINT=localhost", "is not HOST:PORT"},
	{"ROTATOR_GKE_ENDPOINT=gke.example.com:443", "nobody else is given credentials"},
	{"ROTATOR_RECOMMENDER_ENDPOINT=https://recommender.example.com", "nobody else is given credentials"},
	{"GOOGLE_CLOUD_UNIVERSE_DOMAIN=example.com", "hosts of googleapis.com alone"},
	{"ROTATOR_SOKA=1d", "Did you mean ROTATOR_SOAK?"},
	{"CLOUD_RUN_JOB=rotator", "on Cloud Run a file is lost"},
}

func TestWrongSettings(t *testing.T) {
	for _, c := range badSettings {
		t.Run(c.Set, func(t *testing.T) {
			name, _, _ := strings.Cut(c.Set, "=")
			environ := slices.DeleteFunc(slices.Clone(enough),
				func(e string) bool { return strings.HasPrefix(e, name+"=") })
			_, problems := readList(append(environ, c.Set))
			t.Log(problems) // go test -v prints what people read
			if len(problems) != 1 || !strings.Contains(problems[0].String(), c.says) {
				t.Errorf("want one problem that says %q, got %v", c.says, problems)
			}
			if len(problems) == 1 && problems[0].Hint == "" && !strings.Contains(problems[0].What, "write e.g.") {
				t.Errorf("no way out in %q", problems[0])
			}
		})
	}
}

// TestEverySettingIsRead: the name in the reference is the name that envconfig
// reads.
func TestEverySettingIsRead(t *testing.T) {
	for _, f := range rowsOf(&Settings{}) {
		const nonsense = "(nonsense, 1-"
		_, problems := readList([]string{"ROTATOR_ENV=test", "ROTATOR_PROJECTS=shop-prod", Prefix + f.Name + "=" +
			nonsense})
		if !slices.ContainsFunc(problems, func(p Problem) bool {
			return p.Setting == Prefix+f.Name && (p.Text == nonsense || p.Text == hidden)
		}) {
			t.Errorf("%s%s was not read, or nonsense pleased it: %v", Prefix, f.Name, problems)
		}
		if f.form() == "" {
			t.Errorf("%s has no form to hint at", f.Name)
		}
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	_, problems := readList([]string{"ROTATOR_ENV=test", "ROTATOR_SOAK=9d", "ROTATOR_MODE=on", "ROTATOR_WAVE=x",
		"ROTATOR_MAX_ACTIVE=0"})
	var got []string
	for _, p := range problems {
		got = append(got, p.Setting)
	}
	want := []string{"ROTATOR_WAVE", "ROTATOR_PROJECTS", "ROTATOR_MODE", "ROTATOR_MAX_ACTIVE", "ROTATOR_SOAK"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestOnlyTheGivenEnvironment: what the process itself has set is neither read
// nor lost, and a name without the prefix means nothing.
func TestOnlyTheGivenEnvironment(t *testing.T) {
	t.Setenv("ROTATOR_SOAK", "9d")
	s, problems := readList(append(enough, "SOAK=4d", "MODE=act", "ROTATOR_NODES=gke"))
	if len(problems) > 0 || s.Soak.V != 72*time.Hour || s.Mode.V != Observe {
		t.Errorf("problems %v, SOAK %v, MODE %v", problems, s.Soak.V, s.Mode.V)
	}
	if v := os.Getenv("ROTATOR_SOAK"); v != "9d" {
		t.Errorf("the process's own ROTATOR_SOAK became %q", v)
	}
	if _, lost := os.LookupEnv("ROTATOR_NODES"); lost {
		t.Error("a lent setting stayed in the process's environment")
	}
}

// TestEmptyMeansNothing: templates leave settings empty, which is the default
// where the default is to have none, and an error where it is not.
func TestEmptyMeansNothing(t *testing.T) {
	environ := slices.Clone(enough)
	for _, f := range rowsOf(&Settings{}) {
		if slices.Contains(saysNothing, f.Default) {
			environ = append(environ, Prefix+f.Name+"= ")
		}
	}
	got, problems := readList(environ)
	want, _ := readList(enough)
	if len(problems) > 0 || fmt.Sprint(*got.Policy()) != fmt.Sprint(*want.Policy()) ||
		got.GKEEndpoint.V != want.GKEEndpoint.V {
		t.Errorf("problems %v, policy %+v", problems, got.Policy())
	}
	if len(environ) < len(enough)+10 {
		t.Errorf("only %d settings may be empty", len(environ)-len(enough))
	}
}

func TestLoopbackLiftsWhatOnlyGoogleNeeds(t *testing.T) {
	_, problems := readList([]string{"ROTATOR_ENV=test", "ROTATOR_PROJECTS=p", "ROTATOR_MODE=act",
		"ROTATOR_GKE_ENDPOINT=http://127.0.0.1:8080/"})
	if len(problems) > 0 {
		t.Error(problems)
	}
}

func TestSimulationHasItsOwn(t *testing.T) {
	vars := Simulation(map[string]string{"ROTATOR_MODE": "nonsense", "ROTATOR_STATE": "x", "ROTATOR_SOAK": "1d",
		"CLOUD_RUN_JOB": "rotator"})
	s, problems := Read(vars)
	if len(problems) > 0 || s.Mode.V != Act || s.Soak.V != day || vars["CLOUD_RUN_JOB"] != "" {
		t.Errorf("problems %v, MODE %v, SOAK %v", problems, s.Mode.V, s.Soak.V)
	}
}

// TestEveryRuleIsASetting: each field of the policy is filled by the setting of its
// name, but for InForce and Receivers, its JSON shows all of them, and reads back what the
// settings say.
func TestEveryRuleIsASetting(t *testing.T) {
	s, _ := readList(enough)
	p := s.Policy()
	var shown map[string]any
	if err := json.Unmarshal(PolicyJSON(p), &shown); err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[rules.Policy]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if _, is := reflect.TypeFor[Settings]().FieldByName(name); !is && name != "InForce" && name != "Receivers" {
			t.Errorf("no setting fills rules.Policy.%s", name)
		}
	}
	if n := fields.NumField() - 2; len(shown) != n || len(p.InForce.Settings) != n+2 {
		t.Errorf("of %d rules %d are shown and %d audited, with MODE and RECOMMENDER", n, len(shown),
			len(p.InForce.Settings))
	}
}

// TestAudited: what is kept with a rotation tells every rule, no secret and no
// place, and two policies apart that differ anywhere.
func TestAudited(t *testing.T) {
	read := func(more ...string) *record.InForce {
		s, problems := readList(append(slices.Clone(enough), more...))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return s.Policy().InForce
	}
	many := "ROTATOR_PROJECTS="
	for i := range 100 {
		many += fmt.Sprintf("project-%03d,", i)
	}
	plain, other, long, longer := read(), read("ROTATOR_SOAK=4d"), read(strings.TrimSuffix(many, ",")),
		read(many+"project-100")
	if plain.Settings["SOAK"] != "72h" || other.Settings["SOAK"] != "4d" || plain.Digest == other.Digest ||
		plain.Digest != read("ROTATOR_PARALLEL=3").Digest {
		t.Errorf("%+v %+v", plain, other)
	}
	if n := len(long.Settings["PROJECTS"]); n > mostKept+30 || long.Digest == longer.Digest {
		t.Errorf("%d bytes of PROJECTS are kept, digests %s %s", n, long.Digest, longer.Digest)
	}
	for _, f := range rowsOf(&Settings{}) {
		_, kept := plain.Settings[f.Name]
		if secret := regexp.MustCompile(`STATE|ENDPOINT|NOTIFY|SECRET|TOKEN`).MatchString(f.Name); kept && secret {
			t.Errorf("%s is kept", f.Name)
		}
	}
}

// TestWebhookURLs: TLS, but for this machine itself; no error repeats what was given.
func TestWebhookURLs(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://hooks.example.com/x": true, "http://localhost:8080/x": true, "http://127.0.0.1/x": true,
		"http://[::1]:80/x":               true,
		"http://hooks.example.com/secret": false, "ftp://example.com/secret": false,
		"hooks.example.com/secret": false, "https://": false, "https:///secret": false,
		"": false, "https://exa mple/secret": false, "http://127.0.0.1.example.com/secret": false,
		"https://%zz/secret": false, "secret": false,
	} {
		if err := CheckWebhook(url); (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func readList(environ []string) (Settings, []Problem) { return Read(Variables(environ)) }
