package window_test

import (
	"fmt"
	"time"

	"gke-credential-rotator/policy/window"
)

// A cluster with a weekend window, a holiday exclusion and a company freeze:
// may a call that takes 17 minutes be sent now, and if not, when?
func Example() {
	first := window.Span{
		Start: time.Date(2024, 1, 6, 2, 0, 0, 0, time.UTC),
		End:   time.Date(2024, 1, 6, 6, 0, 0, 0, time.UTC),
	}
	own, text, err := window.Recurring(first, "FREQ=WEEKLY;BYDAY=SA,SU")
	if err != nil {
		fmt.Println(err)
		return
	}
	cluster := window.Maintenance{Window: own, Text: text, Exclusions: []window.Exclusion{{
		Name: "black friday", Scope: window.NoUpgrades,
		Span: window.Span{Start: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
			End: time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC)},
	}}}
	var freezes window.Freezes
	if err := freezes.UnmarshalText([]byte("2026-12-05 Europe/Paris, 2026-12-18/2027-01-04")); err != nil {
		fmt.Println(err)
		return
	}
	may := window.All(cluster.Open(window.Always()), freezes)

	fmt.Println(cluster.Text)
	for _, now := range []time.Time{
		time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 22, 5, 50, 0, 0, time.UTC),
	} {
		open, changes := window.RoomAt(may, now, 17*time.Minute)
		fmt.Println(now.Format("Mon 15:04"), open, "until", changes.Format("Mon 2006-01-02 15:04"))
	}
	// Output:
	// Sat,Sun 02:00-06:00 UTC
	// Sun 05:00 true until Sun 2026-11-22 05:43
	// Sun 05:50 false until Sun 2026-12-06 02:00
}

func ExampleParseWeekly() {
	w, err := window.ParseWeekly("Sat,Sun 22:00-04:00 Europe/Paris; Wed 12:00-13:00")
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2026, 11, 21, 14, 5, 0, 0, time.UTC)
	for range 3 {
		s, _ := w.Next(at)
		fmt.Println(s.Start.Format("Mon 15:04"), "to", s.End.Format("Mon 15:04 MST"))
		at = s.End
	}
	_, err = window.ParseWeekly("Sat 2am-6am")
	fmt.Println(err)
	// Output:
	// Sat 21:00 to Sun 03:00 UTC
	// Sun 21:00 to Mon 03:00 UTC
	// Wed 12:00 to Wed 13:00 UTC
	// window "Sat 2am-6am": "2am" is not a time of day HH:MM; write e.g. "Sat,Sun 02:00-06:00 Europe/Paris"
}

func ExampleRecurring_refused() {
	first := window.Span{Start: time.Date(2026, 1, 1, 2, 0, 0, 0, time.UTC),
		End: time.Date(2026, 1, 1, 6, 0, 0, 0, time.UTC)}
	for _, rule := range []string{"FREQ=HOURLY", "FREQ=WEEKLY;BYDAY=1SA", "every weekend"} {
		_, _, err := window.Recurring(first, rule)
		fmt.Println(err)
	}
	// Output:
	// recurrence "FREQ=HOURLY": FREQ=HOURLY: GKE accepts no windows within the day; write FREQ=DAILY and a longer window
	// recurrence "FREQ=WEEKLY;BYDAY=1SA": BYDAY=1SA: only months and years have an nth weekday; write FREQ=MONTHLY
	// recurrence "every weekend": "EVERY WEEKEND" is not NAME=VALUE; write e.g. FREQ=WEEKLY;BYDAY=SA,SU
}
