package plan

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// least is the default of the input readiness.
const least = 35

func spec(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

const bookings = `# Room bookings

A page on which the eight people of our office book the two meeting rooms.

## What it does

- The page shows today's bookings of both rooms, by time.
- One picks a room, a day, a start and an end, types a name, and presses "Book".
- A booking can be removed by anybody; the page asks first.

## Rules

- A booking is at least 15 minutes and at most 4 hours long.
- Two bookings of a room must not overlap: "The room is taken from 10:00 to 11:00."
- Nothing older than 30 days is kept.

Runs on one small Linux machine with Node.js, no accounts, SQLite is fine.
`

const german = `# Vereinskasse

Eine kleine Seite, auf der unser Kassenwart Einnahmen und Ausgaben des Vereins einträgt und jederzeit den Stand sieht.

## Eintragen

Oben steht ein Formular mit Datum, Betrag und Zweck und dem Knopf „Eintragen“. Danach steht der neue Eintrag zuoberst in
der Liste. Ein Betrag ohne Zahl wird abgelehnt: „Das ist kein Betrag.“

## Stand

Über der Liste steht der Stand, zum Beispiel „Stand: 123,45 €“. Er ist rot, wenn er kleiner als 0 ist.

## Grenzen

Höchstens 1000 Einträge. Ohne Anmeldung, nur im eigenen Netz.
`

const japanese = `# 読書メモ

自分のための読書メモのページです。本の題名と著者を入力して「追加」を押すと、一覧の先頭に表示されます。

## 一覧

- 何もないときは「まだ本がありません」と表示します。
- 題名は120文字までです。長すぎるときは「題名が長すぎます」と表示します。

## 検索

検索欄に文字を入れると、題名か著者に含まれる本だけを表示します。アドレスは ` + "`/?q=漱石`" + ` になります。再起動しても本は消えません。
`

// TestReady holds the score of specs as people write them: those that one could
// build from pass the default, those that leave one guessing do not.
func TestReady(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string
		stack bool
		low   int // the score is at least
		high  int // and at most
		asks  []string
	}{
		"the demo":         {text: spec(t, "examples/demo/SPEC.md"), low: 90, high: 100},
		"the second":       {text: spec(t, "examples/second/SPEC.md"), low: 90, high: 100},
		"the tests' own":   {text: spec(t, "testdata/job/SPEC.md"), low: 45, high: 75},
		"an office":        {text: bookings, low: 85, high: 100},
		"German":           {text: german, low: 60, high: 100},
		"Japanese":         {text: japanese, low: 45, high: 100},
		"one line":         {text: "Build me a to-do app", low: 0, high: 20, asks: []string{"How can one tell", "What can one do", "What is it", "Who uses it", "What must it not", "In what is it"}},
		"a title":          {text: "# Shop\n", low: 0, high: 5, asks: []string{"How can one tell"}},
		"a wish":           {text: "# CRM\n\nWe need a modern, scalable CRM like Salesforce but better. It should be fast and easy to use.\n", low: 5, high: 34, asks: []string{"What can one do"}},
		"buzzwords":        {text: "An innovative AI-driven platform leveraging synergies to revolutionize collaboration and engagement, with a delightful and seamless experience across the whole journey.", low: 0, high: 34, asks: []string{"Who uses it", "What can one do"}},
		"an added feature": {text: "When one types into the search field, the list shows only the rows with that word. If there are none it says \"Nothing found\". The address is `/?q=word`.", stack: true, low: 35, high: 80},
		"a crash report":   {text: "lorem ipsum dolor sit amet", low: 0, high: 10, asks: []string{"lorem ipsum"}},
		"much is open": {
			text: bookings + "\n## Payment\n\nTBD\n\n## Mails\n\nTODO: which ones?\n\n## Look\n\nto be decided\n\n## Export\n\n???\n\n## Import\n\nTBD\n\n## Admin\n\nTBD\n",
			low:  60, high: 75, asks: []string{`Line 21 is still open: "TBD"`, `"TODO: which ones?"`, `"to be decided"`, `"???"`},
		},
		"contradictions": {
			text: "# Diary\n\nA diary for one person, without accounts. It works offline.\n\nUsers log in with their mail address. Entries are kept in the cloud.\n\nAn entry must be deletable. Entries may be exported. An entry must not be deletable.\n",
			low:  0, high: 50, asks: []string{`without accounts" and "Users log in`, `works offline" and`, `"An entry must be deletable" and "An entry must not be deletable`},
		},
		"what is denied twice is no contradiction": {text: "# Shelf\n\nThere are no accounts. Nobody has to log in, and there is no password. It works without JavaScript, so it is not built with React. It works offline and never sends mails.\n", low: 10, high: 60},
	} {
		t.Run(name, func(t *testing.T) {
			r := Ready(tt.text, tt.stack)
			if r.Score < tt.low || r.Score > tt.high {
				t.Errorf("the score is %d, not %d to %d: %+v", r.Score, tt.low, tt.high, r.Rules)
			}
			all := strings.Join(r.Questions(), "\n")
			for _, a := range tt.asks {
				if !strings.Contains(all, a) {
					t.Errorf("it does not ask %q:\n%s", a, all)
				}
			}
			if tt.asks == nil && strings.Contains(all, "cannot both hold") {
				t.Errorf("it asks:\n%s", all)
			}
			if r.Score < least && len(r.Questions()) == 0 {
				t.Error("it is below the default, and nothing is asked")
			}
			if again := Ready(strings.ReplaceAll(tt.text, "\n", "\r\n"), tt.stack); again.Score != r.Score {
				t.Errorf("with other line ends the score is %d, not %d", again.Score, r.Score)
			}
		})
	}
}

// TestReadyCountsEachRule holds that the rules make 100 points, and that nothing earns
// none and is asked about.
func TestReadyCountsEachRule(t *testing.T) {
	r := Ready(bookings, false)
	sum := 0
	for _, rule := range r.Rules {
		sum += rule.Of
		if rule.Points > rule.Of {
			t.Errorf("%s earns %d of %d", rule.Name, rule.Points, rule.Of)
		}
	}
	if sum != 100 {
		t.Errorf("there are %d points in all", sum)
	}
	none := Ready("Es.", false)
	for _, rule := range none.Rules {
		if rule.Points > 0 || rule.Question == "" && rule.Name != "length" {
			t.Errorf("of nothing %s earns %d and asks %q", rule.Name, rule.Points, rule.Question)
		}
	}
	if !slices.IsSorted([]int{none.Score, least, r.Score}) {
		t.Errorf("scores: %d, %d", none.Score, r.Score)
	}
}

func FuzzReady(f *testing.F) {
	f.Add(bookings)
	f.Add("# x\n```\n### y\n")
	f.Add("### a\n\n_No response_\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := Ready(text, false)
		if r.Score < 0 || r.Score > 100 {
			t.Errorf("the score is %d", r.Score)
		}
		for _, q := range r.Questions() {
			if strings.ContainsAny(q, "\n\r\x1b") {
				t.Errorf("the question %q is not a line", q)
			}
		}
		answered(text)
	})
}
