package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/policy/record"
)

// The formats of a webhook's body.
const (
	CloudEvents = "cloudevents"
	Slack       = "slack"
)

// WebhookName is how the store notes the webhook.
const WebhookName = "webhook"

// WebhookOptions say where the webhook is and how it is spoken to.
type WebhookOptions struct {
	// URL may be a secret itself, as Slack's is: no error of ours repeats it.
	URL string
	// Secret signs each body, as Standard Webhooks has it; "": unsigned.
	Secret string
	Format string
	Env    string
	Now    func() time.Time
}

// Webhook posts each notice to one URL.
type Webhook struct {
	WebhookOptions
	key    []byte
	client *http.Client
}

// NewWebhook makes the receiver. Nothing is sent yet.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	if err := config.CheckWebhook(o.URL); err != nil {
		return nil, fmt.Errorf("its URL: %w", err)
	}
	w := &Webhook{WebhookOptions: o, client: &http.Client{
		// A redirect would manage body and signature to where nobody meant them.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if o.Secret != "" {
		key, err := signingKey(o.Secret)
		if err != nil {
			return nil, err
		}
		w.key = key
	}
	return w, nil
}

// leastKey is the fewest bytes that Standard Webhooks allows a secret.
const leastKey = 24

// signingKey reads a secret: whsec_ and base64, or the bytes themselves.
func signingKey(secret string) ([]byte, error) {
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, errors.New("the signing secret begins with whsec_, but no base64 follows")
		}
	}
	if len(key) < leastKey {
		return nil, fmt.Errorf("the signing secret has %d bytes, at least %d are needed: openssl rand -base64 32",
			len(key), leastKey)
	}
	return key, nil
}

// Name implements [pass.Receiver].
func (w *Webhook) Name() string { return WebhookName }

// Notify implements [pass.Receiver].
func (w *Webhook) Notify(ctx context.Context, n record.Notice) error {
	body, kind, err := w.body(n)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("its address is no URL")
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("User-Agent", "gke-credential-rotator")
	w.Sign(req.Header, n.ID, body)
	res, err := w.client.Do(req)
	if err != nil {
		return within(ctx, withoutURL(err))
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection is used again
	return answer(res.StatusCode)
}

func (w *Webhook) body(n record.Notice) (body []byte, kind string, err error) {
	if w.Format == Slack {
		body, err = json.Marshal(message{Text: slack(w.Env, n)})
		return body, "application/json", err
	}
	body, err = cloudEvent(w.Env, n)
	return body, contentType, err
}

// Sign adds the headers of Standard Webhooks.
func (w *Webhook) Sign(h http.Header, id string, body []byte) {
	if w.key == nil {
		return
	}
	at := strconv.FormatInt(w.Now().Unix(), 10)
	mac := hmac.New(sha256.New, w.key)
	mac.Write([]byte(id + "." + at + "."))
	mac.Write(body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// refusals are the answers that speak of this one notice. All others but 2xx
// speak of the receiver: a wrong secret or a moved address loses nothing.
var refusals = []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
	http.StatusUnprocessableEntity}

var hints = map[int]string{
	http.StatusUnauthorized: ": look at NOTIFY_SECRET_FILE, or at the token in the URL",
	http.StatusForbidden:    ": look at NOTIFY_SECRET_FILE, or at the token in the URL",
	http.StatusNotFound:     ": look at NOTIFY_WEBHOOK", http.StatusGone: ": look at NOTIFY_WEBHOOK",
	http.StatusMethodNotAllowed: ": look at NOTIFY_WEBHOOK",
}

func answer(code int) error {
	said := fmt.Errorf("it answered HTTP %d %s%s", code, http.StatusText(code), hints[code])
	switch {
	case code >= 200 && code < 300:
		return nil
	case slices.Contains(refusals, code):
		return fmt.Errorf("%w: %w", pass.ErrRefused, said)
	case code >= 300 && code < 400:
		return fmt.Errorf("%w: redirects are not followed; name the place itself in NOTIFY_WEBHOOK", said)
	}
	return said
}

// withoutURL leaves of an error what does not hold the URL.
func withoutURL(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return errors.New("its host is not known, or the name service did not answer")
	case errors.As(err, &op):
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}
