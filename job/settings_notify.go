package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"gke-credential-rotator/job/tell"
)

// webhook is the setting NOTIFY_WEBHOOK. Its URL may be a secret, so it is never
// shown, whatever is wrong with it.
type webhook struct {
	parsed[webhookPlace, *webhookPlace]
}

// hiddenText stands where a secret would.
const hiddenText = "(not shown)"

func (w *webhook) source() (text string, err error) {
	if w.V.URL != "" || w.err != nil {
		return hiddenText, w.err
	}
	return w.text, nil
}

// webhookPlace is a URL, or the file that holds it.
type webhookPlace struct{ URL, File string }

func (p webhookPlace) asked() bool { return p != webhookPlace{} }

// UnmarshalText reads it. No error repeats the text.
func (p *webhookPlace) UnmarshalText(text []byte) error {
	*p = webhookPlace{}
	if string(text) == "none" {
		return nil
	}
	if path, ok := strings.CutPrefix(string(text), "file:"); ok {
		if path == "" || strings.HasPrefix(path, "//") {
			return errors.New("file: names no file: write file:PATH, without slashes before the path")
		}
		p.File = path
		return nil
	}
	if err := tell.CheckURL(string(text)); err != nil {
		return err
	}
	p.URL = string(text)
	return nil
}

type formatWord string

func (w *formatWord) UnmarshalText(t []byte) error { return pick(w, t, tell.CloudEvents, tell.Slack) }

// fileOrNone is "" when there is none.
type fileOrNone string

func (f *fileOrNone) UnmarshalText(text []byte) error {
	*f = ""
	if strings.HasPrefix(string(text), "file:") {
		return fmt.Errorf("%q: the path alone is wanted", text)
	}
	if string(text) != "none" {
		*f = fileOrNone(text)
	}
	return nil
}

var topicPattern = regexp.MustCompile(`^projects/[a-z0-9][a-z0-9.:-]{4,60}[a-z0-9]/topics/[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`)

// topicName is "" when there is none.
type topicName string

func (n *topicName) UnmarshalText(text []byte) error {
	*n = ""
	switch {
	case string(text) == "none":
		return nil
	case !topicPattern.Match(text):
		return fmt.Errorf("%q does not name a topic", text)
	}
	*n = topicName(text)
	return nil
}
