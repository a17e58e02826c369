package window

// Canonical writes a recurrence rule in this package's own order.
func Canonical(rule string) (string, error) {
	r, err := parseRecurrence(rule)
	if err != nil {
		return "", err
	}
	return r.String(), nil
}
