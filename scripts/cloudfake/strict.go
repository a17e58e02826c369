package cloudfake

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// strict says what in a decoded JSON value does not fit the published message
// type t: a field that the type does not have, or a value of another kind. Names
// must be exact, which encoding/json does not ask for.
func strict(value any, t reflect.Type, at string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if value == nil || t.Kind() == reflect.Interface || t.Name() == "RawMessage" {
		return nil
	}
	switch v := value.(type) {
	case object:
		switch t.Kind() {
		case reflect.Map:
			return strictAll(v, func(string) (reflect.Type, bool) { return t.Elem(), true }, at)
		case reflect.Struct:
			return strictAll(v, func(name string) (reflect.Type, bool) { return field(t, name) }, at)
		}
	case []any:
		if t.Kind() == reflect.Slice {
			for i, item := range v {
				if err := strict(item, t.Elem(), fmt.Sprintf("%s[%d]", at, i)); err != nil {
					return err
				}
			}
			return nil
		}
	case string:
		// 64-bit integers are strings in Google's JSON.
		if t.Kind() == reflect.String || t.Kind() == reflect.Int64 || t.Kind() == reflect.Uint64 ||
			t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return nil
		}
	case bool:
		if t.Kind() == reflect.Bool {
			return nil
		}
	case float64, json.Number:
		switch t.Kind() {
		case reflect.Int64, reflect.Uint64, reflect.Int32, reflect.Int, reflect.Float64:
			return nil
		}
	}
	return InvalidArgument("Invalid value at '%s' (%s): %v", at, t.Kind(), value)
}

func strictAll(v object, typeOf func(string) (reflect.Type, bool), at string) error {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		t, ok := typeOf(name)
		if !ok {
			return InvalidArgument("Invalid JSON payload received. Unknown name \"%s\" at '%s': Cannot find field.",
				name, at)
		}
		if err := strict(v[name], t, strings.TrimPrefix(at+"."+name, ".")); err != nil {
			return err
		}
	}
	return nil
}

// field is the type of the field of a published message that has this JSON name.
func field(t reflect.Type, name string) (reflect.Type, bool) {
	if name == "@type" {
		return reflect.TypeFor[string](), true
	}
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if tag == name && tag != "-" {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}
