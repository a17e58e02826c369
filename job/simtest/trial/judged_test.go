package trial

// judged is who looks on in the tests.
var judged = NewJudge
