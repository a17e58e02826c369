package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"strings"

	"gke-credential-rotator/policy/record"
)

// notRules are settings on which no decision rests, and those whose values are
// nobody's business: they are not kept with what was decided.
var notRules = regexp.MustCompile(`^(STATE|PARALLEL|DEADLINE)$|ENDPOINT|NOTIFY|REPORT|WEBHOOK|SECRET|TOKEN|PASSWORD|URL|FILE|TOPIC|KEY`)

// mostKept is how much of a value is kept with each rotation: PROJECTS may name
// hundreds. The digest is over all of it.
const mostKept = 300

// audited is the policy in words, as it is kept with the rotations that it starts.
func (s Settings) audited() *record.InForce {
	p := &record.InForce{Tool: version(), Settings: map[string]string{}}
	sum := sha256.New()
	for _, f := range s.inForce() {
		if notRules.MatchString(f.Name) {
			continue
		}
		value := userInfo.ReplaceAllString(f.Value, "//***@")
		_, _ = io.WriteString(sum, f.Name+"="+value+"\n") // a hash takes everything
		if n := len(value) - mostKept; n > 0 {
			value = strings.ToValidUTF8(value[:mostKept], "") + fmt.Sprintf("… (%d bytes more)", n)
		}
		p.Settings[f.Name] = value
	}
	p.Digest = hex.EncodeToString(sum.Sum(nil))
	return p
}
