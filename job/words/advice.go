package words

import "strings"

// Part is a piece of an advice: words, or something to type.
type Part struct {
	Text    string
	Command bool
}

// Advice fills the names into an advice. Between backquotes stands what people
// type, and there CLUSTER and ENV are names, each one word for a shell, and PROJECT and
// LOCATION are the cluster's; "" leaves the placeholder.
func Advice[A ~string](advice A, cluster, env string) []Part {
	var parts []Part
	place := strings.Split(cluster, "/")
	for i, text := range strings.Split(string(advice), "`") {
		command := i%2 == 1
		if command {
			typed := strings.Fields(text)
			for j, word := range typed {
				switch {
				case word == "CLUSTER" && cluster != "":
					typed[j] = Quote(cluster)
				case word == "ENV" && env != "":
					typed[j] = Quote(env)
				case len(place) == 3 && word == "--project=PROJECT":
					typed[j] = Quote("--project=" + place[0])
				case len(place) == 3 && word == "--location=LOCATION":
					typed[j] = Quote("--location=" + place[1])
				}
			}
			text = strings.Join(typed, " ")
		}
		if text != "" {
			parts = append(parts, Part{text, command})
		}
	}
	return parts
}

// Plain is an advice as text.
func Plain[A ~string](advice A, cluster, env string) string {
	return text(Advice(advice, cluster, env), " ")
}

// Unbroken is an advice for a page that breaks lines: what is typed stays in one
// piece.
func Unbroken[A ~string](advice A, cluster, env string) string {
	return text(Advice(advice, cluster, env), Hard)
}

func text(parts []Part, space string) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Command {
			p.Text = strings.ReplaceAll(p.Text, " ", space)
		}
		b.WriteString(p.Text)
	}
	return b.String()
}
