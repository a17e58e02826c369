package cloudfake

import (
	"fmt"
	"net/http"
)

// Error is a refusal in the shape that Google's APIs give it.
type Error struct {
	Code    int    // of HTTP
	Status  string // of google.rpc.Code
	Message string
	Details []any
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s", e.Code, e.Status, e.Message)
}

func (e *Error) json() object {
	inner := object{"code": e.Code, "message": e.Message, "status": e.Status}
	if len(e.Details) > 0 {
		inner["details"] = e.Details
	}
	return object{"error": inner}
}

func denied(code int, status, format string, args ...any) *Error {
	return &Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// PermissionDenied is what a caller without the permission gets.
func PermissionDenied(permission, resource string) *Error {
	e := denied(http.StatusForbidden, "PERMISSION_DENIED",
		"Permission '%s' denied on resource '%s' (or it may not exist).", permission, resource)
	e.Details = []any{object{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
		"domain":   "iam.googleapis.com",
		"metadata": object{"permission": permission, "resource": resource},
	}}
	return e
}

// ServiceDisabled is what a call of an API gets in a project where it is off.
func ServiceDisabled(service string, number int64) *Error {
	page := fmt.Sprintf("https://console.developers.google.com/apis/api/%s/overview?project=%d", service, number)
	e := denied(http.StatusForbidden, "PERMISSION_DENIED",
		"%s has not been used in project %d before or it is disabled. Enable it by visiting %s then retry. "+
			"If you enabled this API recently, wait a few minutes for the action to propagate to our systems and retry.",
		service, number, page)
	e.Details = []any{
		object{"@type": "type.googleapis.com/google.rpc.Help", "links": []any{
			object{"description": "Google developers console API activation", "url": page}}},
		object{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
			"domain":   "googleapis.com",
			"metadata": object{"service": service, "consumer": fmt.Sprintf("projects/%d", number)}},
	}
	return e
}

// QuotaExceeded is what a caller gets that asks too often.
func QuotaExceeded(metric, consumer string) *Error {
	e := denied(http.StatusTooManyRequests, "RESOURCE_EXHAUSTED",
		"Quota exceeded for quota metric '%s' and limit '%s per minute' of consumer '%s'.", metric, metric,
		consumer)
	e.Details = []any{object{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "RATE_LIMIT_EXCEEDED",
		"domain":   "googleapis.com",
		"metadata": object{"quota_metric": metric, "consumer": consumer},
	}}
	return e
}

// AlreadyExists refuses a second create.
func AlreadyExists(name string) *Error {
	return denied(http.StatusConflict, "ALREADY_EXISTS", "Resource '%s' already exists.", name)
}

// NotFound is the answer for what is not there.
func NotFound(name string) *Error {
	return denied(http.StatusNotFound, "NOT_FOUND", "Resource '%s' was not found.", name)
}

// FailedPrecondition refuses what the state of the resource does not allow.
func FailedPrecondition(format string, args ...any) *Error {
	return denied(http.StatusBadRequest, "FAILED_PRECONDITION", format, args...)
}

// InvalidArgument refuses a request that is wrong in itself.
func InvalidArgument(format string, args ...any) *Error {
	return denied(http.StatusBadRequest, "INVALID_ARGUMENT", format, args...)
}

// OrganizationPolicy refuses what a constraint of the organisation forbids.
func OrganizationPolicy(constraint, resource string) *Error {
	return FailedPrecondition("Constraint %s violated for %s.", constraint, resource)
}

// BillingDisabled refuses what costs something in a project without an account to
// charge it to.
func BillingDisabled(number int64) *Error {
	e := denied(http.StatusForbidden, "PERMISSION_DENIED",
		"This API method requires billing to be enabled. Please enable billing on project #%d by visiting "+
			"https://console.developers.google.com/billing/enable?project=%d then retry.", number, number)
	e.Details = []any{object{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED",
		"domain":   "googleapis.com",
		"metadata": object{"consumer": fmt.Sprintf("projects/%d", number)},
	}}
	return e
}

// Unauthenticated refuses a token that is none or has run out.
func Unauthenticated() *Error {
	e := denied(http.StatusUnauthorized, "UNAUTHENTICATED",
		"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.")
	e.Details = []any{object{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCESS_TOKEN_TYPE_UNSUPPORTED",
		"domain": "googleapis.com",
	}}
	return e
}
