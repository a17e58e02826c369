package cloudfake

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// builtIn are the substitutions that Cloud Build fills in itself. The given ones
// may be set by whoever submits a build.
var builtIn = []string{
	"PROJECT_ID", "PROJECT_NUMBER", "LOCATION", "BUILD_ID", "TRIGGER_NAME", "TRIGGER_BUILD_CONFIG_PATH",
	"SERVICE_ACCOUNT", "SERVICE_ACCOUNT_EMAIL", "REPO_FULL_NAME",
}

var given = []string{"REPO_NAME", "BRANCH_NAME", "TAG_NAME", "REVISION_ID", "COMMIT_SHA", "SHORT_SHA"}

var reference = regexp.MustCompile(`\$\$|\$\{([A-Z_][A-Z0-9_]*)[^}]*\}|\$([A-Z_][A-Z0-9_]*)`)

var userKey = regexp.MustCompile(`^_[A-Z0-9_]+$`)

// substitute fills in a build's substitutions and refuses, as Cloud Build does for
// a build that no trigger started, a name that nobody knows and one that nobody
// uses. A step's script is left as it is: it reads its environment.
func (f *Fake) substitute(b object, builtins object) error {
	values, _ := b["substitutions"].(object)
	options, _ := b["options"].(object)
	used := map[string]bool{}
	known := func(name string) (string, bool) {
		used[name] = true
		if v, ok := values[name]; ok {
			return fmt.Sprint(v), true
		}
		v, ok := builtins[name].(string)
		return v, ok || slices.Contains(given, name) || slices.Contains(builtIn, name)
	}
	expand := func(text string) (string, error) {
		var unknown string
		out := reference.ReplaceAllStringFunc(text, func(ref string) string {
			if ref == "$$" {
				return "$"
			}
			m := reference.FindStringSubmatch(ref)
			value, ok := known(m[1] + m[2])
			if !ok {
				unknown = m[1] + m[2]
			}
			return value
		})
		if unknown != "" && options["substitutionOption"] != "ALLOW_LOOSE" {
			return "", InvalidArgument("invalid value for 'build.substitutions': key in the template %q is not a valid built-in substitution", unknown)
		}
		return out, nil
	}
	for name, value := range values {
		if !userKey.MatchString(name) && !slices.Contains(given, name) {
			return InvalidArgument("invalid value for 'build.substitutions': substitution key %q does not begin with an underscore", name)
		}
		if options["dynamicSubstitutions"] == true {
			text, err := expand(fmt.Sprint(value))
			if err != nil {
				return err
			}
			values[name] = text
		}
	}
	for key, value := range b {
		if key == "substitutions" {
			continue
		}
		changed, err := walk(value, expand)
		if err != nil {
			return err
		}
		b[key] = changed
	}
	for name := range values {
		if strings.HasPrefix(name, "_") && !used[name] && options["substitutionOption"] != "ALLOW_LOOSE" &&
			options["automapSubstitutions"] != true {
			return InvalidArgument("invalid value for 'build.substitutions': key %q in the substitution data is not matched in the template", name)
		}
	}
	return nil
}

// walk changes every string but those of scripts.
func walk(value any, change func(string) (string, error)) (any, error) {
	var err error
	switch v := value.(type) {
	case string:
		return change(v)
	case []any:
		for i := range v {
			if v[i], err = walk(v[i], change); err != nil {
				return nil, err
			}
		}
	case object:
		for key := range v {
			if key == "script" {
				continue
			}
			if v[key], err = walk(v[key], change); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}
