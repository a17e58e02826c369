package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"gke-credential-rotator/job/config"
	"gke-credential-rotator/job/pass"
	"gke-credential-rotator/job/tell"
)

// receivers are those whom the settings want told; a plan tells nobody. One that
// cannot be made stops no run: what it should be told waits in the book, and the
// run says why.
func (a *app) receivers(ctx context.Context, s config.Settings, w wiring) (out []pass.Receiver, done func()) {
	done = func() {}
	if w.lookOnly {
		return nil, done
	}
	if s.NotifyWebhook.V.Asked() {
		hook, err := newWebhook(s)
		if err != nil {
			out = append(out, tell.Broken{Receiver: tell.WebhookName, Why: err})
		} else {
			out = append(out, hook)
		}
	}
	if s.NotifyTopic.V == "" {
		return out, done
	}
	topic, err := tell.NewTopic(ctx, string(s.Env.V), string(s.NotifyTopic.V), emulatorOptions(a.vars["PUBSUB_EMULATOR_HOST"])...)
	if err != nil {
		return append(out, tell.Broken{Receiver: tell.TopicName, Why: err}), done
	}
	return append(out, topic), func() { _ = topic.Close() } // every message was answered
}

func newWebhook(s config.Settings) (*tell.Webhook, error) {
	o := tell.WebhookOptions{URL: s.NotifyWebhook.V.URL, Format: string(s.NotifyFormat.V), Env: string(s.Env.V), Now: time.Now}
	var err error
	if s.NotifyWebhook.V.File != "" {
		if o.URL, err = secretIn("NOTIFY_WEBHOOK", s.NotifyWebhook.V.File); err != nil {
			return nil, err
		}
	}
	if s.NotifySecretFile.V != "" {
		if o.Secret, err = secretIn("NOTIFY_SECRET_FILE", string(s.NotifySecretFile.V)); err != nil {
			return nil, err
		}
	}
	return tell.NewWebhook(o)
}

// mostSecret is the most that a file with a secret is read of.
const mostSecret = 16 << 10

// secretIn reads a secret from the file that a setting names; no error repeats
// anything of it.
func secretIn(setting, path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator's own file
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return "", fmt.Errorf("the file of %s%s cannot be opened: %w", config.Prefix, setting, err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, mostSecret))
	secret := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", fmt.Errorf("the file of %s%s cannot be read", config.Prefix, setting)
	case secret == "":
		return "", fmt.Errorf("the file of %s%s is empty", config.Prefix, setting)
	}
	return secret, nil
}
