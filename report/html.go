package report

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"sync"
	"time"

	"github.com/autonomous-loop/autonomous-loop/runner"
)

//go:embed report.html.tmpl
var page string

// pageTemplate is parsed when it is first used: the program starts anew for every
// command that it confines.
var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Funcs(template.FuncMap{
		"thousands": thousands,
		"minutes":   minutes,
		"dollars":   func(m runner.Money) string { return fmt.Sprintf("$%.4f", m.Dollars()) },
		"clock":     func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"day":       func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
		"short":     func(s string) string { return s[:min(len(s), 10)] },
		"ended":     ended,
		"seconds":   seconds,
		"ran":       ranOn,
		"finding":   finding,
		"count":     count,
	}).Parse(page))
})

// HTML is the report: one file with everything in it, that opens anywhere and
// asks nothing of the network.
func HTML(v View) ([]byte, error) {
	type row struct {
		runner.Feature
		Standing string
		Record   runner.Record
		Runs     int // kept with the record
		Image    template.URL
		Blocked  bool
	}
	data := struct {
		View
		Bar, Headline, Next, Cost, ETA, Kinds, Figures string
		Percent                                        int
		Rows                                           []row
		Warned                                         []string
	}{
		View: v, Bar: Bar(v.Result.FeaturesCompleted, v.Result.FeaturesTotal), Headline: headline(v), Next: next(v), Cost: cost(v), ETA: eta(v.State, v.Result), Kinds: kinds(v.Result), Figures: figures(v.Result), Warned: append(down(v), v.Result.Warnings...),
		Percent: percent(v.Result.FeaturesCompleted, v.Result.FeaturesTotal),
	}
	for _, f := range v.State.Features {
		r := row{Feature: f, Standing: standing(f, v.State), Record: v.Records[f.ID], Blocked: v.State.Blocked(f)}
		for _, g := range r.Record.Gates {
			r.Runs += len(g.Runs)
		}
		if png := v.Images[f.ID]; len(png) > 0 {
			// A data URL of our own making: the content is base64 and the type fixed.
			r.Image = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png)) //nolint:gosec // see the line above
		}
		data.Rows = append(data.Rows, r)
	}
	var b bytes.Buffer
	if err := pageTemplate().Execute(&b, data); err != nil {
		return nil, fmt.Errorf("report.html: %w", err)
	}
	return b.Bytes(), nil
}
