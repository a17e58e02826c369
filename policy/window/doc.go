// Package window is calendar arithmetic for maintenance: when a cluster, a
// policy or a company allows work, and when it will next.
//
// It is a leaf: values in, values out, no clock. Everything it knows is a
// [Schedule], a set of open stretches on the time line, which answers one
// question: what is the first stretch that ends after t? Windows open
// stretches, exclusions and freezes cut them, and [All] asks for both:
//
//	own, _, err := window.Recurring(first, "FREQ=WEEKLY;BYDAY=SA,SU")
//	may := window.All(own, window.Except(exclusions...), freezes)
//	open, changes := window.RoomAt(may, now, 17*time.Minute)
//
// # Where schedules come from
//
//   - [Daily]: GKE's daily window, four hours in UTC.
//   - [Recurring] and [RecurringSince]: GKE's two forms of a window with an
//     RFC 5545 recurrence rule, evaluated in UTC as GKE does.
//   - [Weekly]: a policy's own calendar, days and wall-clock times in an IANA
//     zone, as in "Sat,Sun 22:00-04:00 Europe/Paris".
//   - [Except]: everything but some spans, such as [Exclusion.Stretch].
//   - [Freezes]: everything but some dates.
//   - [All], [Always], [Never]: combinations.
//
// [Maintenance] is what all this amounts to for one cluster.
//
// # Midnight, and days that are not 24 hours long
//
// A window belongs to the day on which it begins. "Sat 22:00-04:00" ends on
// Sunday, and a Saturday window of 48 hours ends on Monday.
//
// In a zone that changes its clocks, a wall-clock time may be skipped or shown
// twice. A skipped time means the moment of the change, a doubled one its first
// showing. So "02:30-06:00" opens at 03:00 on the day that has no 02:30, and is
// half an hour shorter; "01:00-02:30" closes at the first 02:30 and doesn't open
// again at the second 02:00. A window that lies wholly in the skipped time isn't
// lost: it keeps its length, counted from the change.
//
// # What a stretch is
//
// Stretches are as long as they can be: windows that overlap or touch are one.
// Their edges are exact within [Horizon] of the time asked about. A start that
// lies farther back is told as the zero time, an end that lies farther ahead as
// [Forever]. Thus the answer depends on the schedule and the time alone, and
// no question makes a schedule walk through decades.
//
// # Cost
//
// A schedule is compiled once and remembers its latest two stretches, so the
// common question costs about 100 ns; compiling a rule and asking it costs some
// µs. Rules are walked by periods from the time asked about, in both directions:
// a rule of 1970 is no slower than one of today, and nothing is expanded into a
// list. Schedules may be shared between goroutines: what they remember is
// replaced as a whole, and is only speed.
//
// Rules that cannot be evaluated with certainty are refused, with an error that
// names the part and the way out. The caller must then treat the cluster as
// closed: absent rules are not permission.
package window
