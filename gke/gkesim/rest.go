package gkesim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// rest serves a gRPC server's services as REST, by the google.api.http
// annotations that their messages manage. Nothing is generated: what Google
// annotates is what is served.
type rest struct {
	routes []route
	conn   grpc.ClientConnInterface
}

// route is one HTTP binding of one method.
type route struct {
	verb   string
	path   *regexp.Regexp
	fields []string // of the request, one for each group of path
	body   string   // the field that the body fills; "*" for the whole request
	method protoreflect.MethodDescriptor
}

// newREST reads the bindings of the services by their full names.
func newREST(conn grpc.ClientConnInterface, services ...protoreflect.FullName) (*rest, error) {
	r := &rest{conn: conn}
	for _, name := range services {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
		if err != nil {
			return nil, fmt.Errorf("the service %s is not linked: %w", name, err)
		}
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		for i := range methods.Len() {
			rule, _ := proto.GetExtension(methods.Get(i).Options(), annotations.E_Http).(*annotations.HttpRule)
			if rule == nil {
				continue
			}
			for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
				if err := r.add(methods.Get(i), binding); err != nil {
					return nil, err
				}
			}
		}
	}
	return r, nil
}

func (r *rest) add(m protoreflect.MethodDescriptor, rule *annotations.HttpRule) error {
	pb := rule.ProtoReflect()
	pattern := pb.WhichOneof(pb.Descriptor().Oneofs().ByName("pattern"))
	if pattern == nil || pattern.Kind() != protoreflect.StringKind {
		return fmt.Errorf("%s has a binding of the unknown kind %T", m.FullName(), rule.GetPattern())
	}
	path, fields, err := compileTemplate(pb.Get(pattern).String())
	if err != nil {
		return fmt.Errorf("%s: %w", m.FullName(), err)
	}
	r.routes = append(r.routes, route{strings.ToUpper(string(pattern.Name())), path, fields, rule.GetBody(), m})
	return nil
}

var variable = regexp.MustCompile(`\{([^}=]+)(?:=([^}]*))?\}`)

// compileTemplate turns /v1/{name=projects/*/clusters/*}:verb into a regular
// expression and the names of its groups.
func compileTemplate(template string) (*regexp.Regexp, []string, error) {
	var fields []string
	between := variable.Split(template, -1)
	expr := "^" + regexp.QuoteMeta(between[0])
	stars := strings.NewReplacer(`\*\*`, `.+`, `\*`, `[^/:]+`)
	for i, found := range variable.FindAllStringSubmatch(template, -1) {
		fields = append(fields, found[1])
		pattern := regexp.QuoteMeta(cmp.Or(found[2], "*"))
		expr += "(" + stars.Replace(pattern) + ")" + regexp.QuoteMeta(between[i+1])
	}
	re, err := regexp.Compile(expr + "$")
	return re, fields, err
}

// ServeHTTP answers one REST request as Google's front end would.
func (r *rest) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	for _, rt := range r.routes {
		if rt.verb != req.Method {
			continue
		}
		groups := rt.path.FindStringSubmatch(req.URL.Path)
		if groups == nil {
			continue
		}
		var text []byte
		out, err := r.call(req, rt, groups[1:])
		if err == nil {
			text, err = protojson.Marshal(out)
		}
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_, _ = w.Write(text) //nolint:gosec // JSON by its header, and a client that went away is its own business
		return
	}
	writeError(w, status.Errorf(codes.NotFound, "Method not found: %s %s.", req.Method, req.URL.Path))
}

func (r *rest) call(req *http.Request, rt route, values []string) (proto.Message, error) {
	in, err := newMessage(rt.method.Input())
	if err != nil {
		return nil, err
	}
	if err := readBody(req, rt, in); err != nil {
		return nil, err
	}
	for i, field := range rt.fields {
		if err := setField(in.ProtoReflect(), field, values[i]); err != nil {
			return nil, err
		}
	}
	for name, list := range req.URL.Query() {
		if !slices.Contains(systemParameters, name) {
			if err := setField(in.ProtoReflect(), name, list[len(list)-1]); err != nil {
				return nil, err
			}
		}
	}
	out, err := newMessage(rt.method.Output())
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("/%s/%s", rt.method.Parent().FullName(), rt.method.Name())
	return out, r.conn.Invoke(req.Context(), name, in, out)
}

// systemParameters are understood by every Google API and are no fields.
var systemParameters = []string{"alt", "prettyPrint", "fields", "key", "quotaUser", "$alt", "$.xgafv",
	"access_token", "callback"}

func newMessage(d protoreflect.MessageDescriptor) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, status.Errorf(codes.Internal, "the message %s is not linked", d.FullName())
	}
	return t.New().Interface(), nil
}

// maxBody bounds a request's body: GKE's own are a few kilobytes.
const maxBody = 4 << 20

func readBody(req *http.Request, rt route, in proto.Message) error {
	if rt.body == "" {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(req.Body, maxBody))
	if err != nil || len(text) == 0 {
		return err
	}
	into := in
	if rt.body != "*" {
		field := fieldOf(in.ProtoReflect(), rt.body)
		if field == nil || field.Message() == nil {
			return status.Errorf(codes.Internal, "the binding's body field %q does not exist", rt.body)
		}
		into = in.ProtoReflect().Mutable(field).Message().Interface()
	}
	if err := protojson.Unmarshal(text, into); err != nil {
		return status.Errorf(codes.InvalidArgument, "Invalid JSON payload received. %s",
			strings.ReplaceAll(err.Error(), "\u00a0", " "))
	}
	return nil
}

// setField sets a scalar field by its dotted name, in either spelling.
func setField(m protoreflect.Message, name, value string) error {
	first, rest, nested := strings.Cut(name, ".")
	field := fieldOf(m, first)
	switch {
	case field == nil:
		return status.Errorf(codes.InvalidArgument,
			"Invalid JSON payload received. Unknown name %q: Cannot bind query parameter.", name)
	case !utf8.ValidString(value): // a message of gRPC could not hold it
		return status.Errorf(codes.InvalidArgument, "Invalid value at '%s': %q is not UTF-8", name, value)
	case nested && field.Message() != nil:
		return setField(m.Mutable(field).Message(), rest, value)
	}
	if field.Kind() == protoreflect.StringKind && !field.IsList() {
		m.Set(field, protoreflect.ValueOfString(value))
		return nil
	}
	// protojson knows how every other scalar is written.
	quoted, _ := json.Marshal(value) // a string always can be
	if field.IsList() {
		quoted = []byte("[" + string(quoted) + "]")
	}
	if field.Kind() == protoreflect.BoolKind {
		quoted = []byte(value)
	}
	key, _ := json.Marshal(field.JSONName())
	one := m.New().Interface()
	if err := protojson.Unmarshal([]byte("{"+string(key)+":"+string(quoted)+"}"), one); err != nil {
		return status.Errorf(codes.InvalidArgument, "Invalid value at '%s': %q", name, value)
	}
	proto.Merge(m.Interface(), one)
	return nil
}

func fieldOf(m protoreflect.Message, name string) protoreflect.FieldDescriptor {
	fields := m.Descriptor().Fields()
	if f := fields.ByName(protoreflect.Name(name)); f != nil {
		return f
	}
	return fields.ByJSONName(name)
}

// httpCodes is google.rpc.Code as HTTP.
var httpCodes = map[codes.Code]int{
	codes.InvalidArgument: 400, codes.FailedPrecondition: 400, codes.OutOfRange: 400, codes.Unauthenticated: 401,
	codes.PermissionDenied: 403, codes.NotFound: 404, codes.AlreadyExists: 409, codes.Aborted: 409,
	codes.ResourceExhausted: 429, codes.Canceled: 499, codes.Unimplemented: 501, codes.Unavailable: 503,
	codes.DeadlineExceeded: 504,
}

// writeError writes an error in Google's shape.
func writeError(w http.ResponseWriter, err error) {
	s := status.Convert(err)
	httpCode := cmp.Or(httpCodes[s.Code()], http.StatusInternalServerError)
	body := map[string]any{"code": httpCode, "message": s.Message(), "status": code.Code(s.Proto().GetCode()).String()}
	var details []json.RawMessage
	for _, d := range s.Proto().GetDetails() {
		if text, err := protojson.Marshal(d); err == nil {
			details = append(details, text)
		}
	}
	if len(details) > 0 {
		body["details"] = details
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(httpCode)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": body}) // a client that went away is its own business
}
