package cloudfake

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	labelKey   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	labelValue = regexp.MustCompile(`^[a-z0-9_-]{0,63}$`)
)

// limits refuses labels that Google does not take and texts that are too long.
func limits(k *kind, body object) error {
	labels := []any{body["userLabels"]}
	if !strings.HasSuffix(k.parent, "/notificationChannels") { // whose labels are the channel's settings
		labels = append(labels, body["labels"])
	}
	if meta, ok := body["metadata"].(object); ok {
		labels = append(labels, meta["labels"])
	}
	for _, list := range labels {
		all, _ := list.(object)
		for key, value := range all {
			if !labelKey.MatchString(key) && k.api != "run" || !labelValue.MatchString(fmt.Sprint(value)) {
				return InvalidArgument("Invalid label %s=%v: keys begin with a letter; keys and values have lower-case letters, digits, _ and -, 63 at most.", key, value)
			}
		}
	}
	for _, x := range []struct {
		parent, field string
		most          int
	}{
		{"/roles", "title", 100}, {"/serviceAccounts", "displayName", 100},
		{"/serviceAccounts", "description", 256},
		{"/alertPolicies", "displayName", 512}, {"/sinks", "filter", 20000}, {"/jobs", "description", 500},
	} {
		if text, ok := body[x.field].(string); ok && strings.HasSuffix(k.parent, x.parent) &&
			utf8.RuneCountInString(text) > x.most {
			return InvalidArgument("Field %s has more than %d characters.", x.field, x.most)
		}
	}
	return nil
}
