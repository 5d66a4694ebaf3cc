package page_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// longest is how long a test waits for what the page must show: long, since the
// machine may be busy with other tests.
const longest = 2 * time.Minute

// browser is a tab of a real Chromium, or the reason why there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium or Chrome on PATH")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // which root and containers cannot have; the pages are our own
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(1200, 1000),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	tab, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	if err := chromedp.Do(tab); err != nil { // the browser lives as long as this context
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(tab, 2*longest)
	t.Cleanup(cancel)
	return limited
}

// do runs actions in the tab.
func do(t *testing.T, tab context.Context, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(tab, actions...); err != nil {
		t.Fatal(err)
	}
}

// script runs JavaScript in the page.
func script(text string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := chromedp.Evaluate[bool]("(() => {"+text+"; return true})()")(ctx, t)
		return err
	})
}

// shows waits until a JavaScript expression is true.
func shows(t *testing.T, tab context.Context, what, expression string) {
	t.Helper()
	limited, cancel := context.WithTimeout(tab, longest)
	defer cancel()
	wait := fmt.Sprintf(`new Promise((done) => { const look = () => (%s) ? done(true) : setTimeout(look, 20); look(); })`, expression)
	if _, err := chromedp.Run(limited, chromedp.Evaluate[bool](wait, chromedp.EvalAwaitPromise)); err != nil {
		text, _ := chromedp.Run(tab, chromedp.InnerHTML(chromedp.CSS("main")))
		t.Fatalf("the page never shows %s: %v\n%s", what, err, text)
	}
}

// drop drops a file on the page, with the name that it has and what is in it.
func drop(name, content string) chromedp.Action[chromedp.Void] {
	return script(fmt.Sprintf(`
		const files = new DataTransfer();
		files.items.add(new File([%q], %q));
		document.getElementById("drop").dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}))`, content, name))
}

// turn sets a switch as a person does.
func turn(name, value string) chromedp.Action[chromedp.Void] {
	return script(fmt.Sprintf(`
		const select = document.getElementById("switch-%s");
		select.value = %q;
		select.dispatchEvent(new Event("change", {bubbles: true}))`, name, value))
}

func sample(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "testdata", "sample.mov"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDropBreakMend(t *testing.T) {
	t.Parallel()
	tab := browser(t)
	s := start(t, true)
	// Whatever the page asks for that is not of this machine is a defect.
	foreign := make(chan string, 100)
	if err := chromedp.Listen(tab, func(e any) {
		if r, ok := e.(*network.EventRequestWillBeSent); ok && !strings.HasPrefix(r.Request.URL, "http://127.0.0.1:") && !strings.HasPrefix(r.Request.URL, "data:") {
			foreign <- r.Request.URL
		}
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(tab, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	const first = `document.querySelector("#uploads > li")`
	do(t, tab, chromedp.Navigate(s.url), chromedp.SetUploadFiles(chromedp.CSS("#files"), []string{sample(t)}))
	shows(t, tab, "three successes", first+`?.querySelectorAll(".state.succeeded").length === 3`)

	do(t, tab, chromedp.Focus(chromedp.CSS("#uploads summary")), chromedp.KeyEvent("\r")) // by the keyboard
	shows(t, tab, "three outputs", first+`.querySelectorAll("figure").length === 3`)
	if s.ffmpeg {
		shows(t, tab, "the picture", first+`.querySelector("figure img")?.naturalWidth === 640`)
		shows(t, tab, "the film", first+`.querySelector("figure video")?.videoWidth > 0`)
		shows(t, tab, "the sound", first+`.querySelector("figure audio")?.duration > 0`)
	}
	shows(t, tab, "the row as DynamoDB has it", `[...document.querySelectorAll("#uploads pre")].some(p => /"pk": \{\s+"S": "uploads\/sample.mov"/.test(p.textContent))`)
	shows(t, tab, "no token", `!/token=ey/.test(document.body.textContent) && /token=\[redacted\]/.test(document.body.textContent)`)

	// Break Ittybit: the next upload goes to the retry queue.
	do(t, tab, turn("api", "down"))
	shows(t, tab, "that Ittybit is broken", `document.getElementById("box-ittybit").classList.contains("bad")`)
	do(t, tab, drop("second.mov", "a film"))
	shows(t, tab, "the wait in the retry queue", first+`.classList.contains("bad") && /retry queue/.test(`+first+`.textContent)`)

	// Mend it, let a minute pass: the retry brings the result.
	do(t, tab, turn("api", "up"))
	shows(t, tab, "that Ittybit is mended", `!document.getElementById("box-ittybit").classList.contains("bad")`)
	do(t, tab, chromedp.Click(chromedp.CSS(`button[data-post="/time?by=1m"]`)))
	if s.ffmpeg {
		// "a film" is none, and fails as it would at Ittybit.
		shows(t, tab, "the failure", first+`.querySelectorAll(".state.failed").length === 3`)
	} else {
		shows(t, tab, "the successes", first+`.querySelectorAll(".state.succeeded").length === 3`)
	}

	select {
	case url := <-foreign:
		t.Errorf("the page asks for %s", url)
	default:
	}
	screenshot(t, tab, "page.png")
}

func TestANameFullOfHTMLIsText(t *testing.T) {
	t.Parallel()
	tab := browser(t)
	s := start(t, false)
	const name = `<img src=x onerror="document.title='owned'"><script>document.title='owned'<\/script>.mov`
	do(t, tab, chromedp.Navigate(s.url), drop(strings.ReplaceAll(name, `<\/`, `<`), "x"))
	shows(t, tab, "the name", `document.querySelector("#uploads .key")?.textContent.includes("<img src=x onerror=")`)
	do(t, tab, chromedp.Click(chromedp.CSS("#uploads summary")))
	shows(t, tab, "its story", `document.querySelector("#uploads .notes li") !== null`)
	shows(t, tab, "nothing of it as markup", `document.title !== "owned" && document.querySelectorAll("#uploads img[src=x], #uploads script").length === 0`)
}

func TestCallbacksLostAndSweep(t *testing.T) {
	t.Parallel()
	tab := browser(t)
	s := start(t, false)
	do(t, tab, chromedp.Navigate(s.url), turn("callbacks", "lost"))
	shows(t, tab, "that callbacks are lost", `document.getElementById("box-ittybit").classList.contains("bad")`)
	do(t, tab, drop("lost.mov", "x"))
	shows(t, tab, "jobs at Ittybit", `/3 jobs/.test(document.getElementById("box-ittybit").textContent)`)
	// Sweep asks once a job is overdue.
	do(t, tab, chromedp.Click(chromedp.CSS(`button[data-post="/time?by=15m"]`)), chromedp.Click(chromedp.CSS(`button[data-post="/time?by=24h"]`)), chromedp.Click(chromedp.CSS("#sweep")))
	shows(t, tab, "what sweep found", `document.querySelectorAll("#uploads .state.succeeded").length === 3`)
}

func TestNarrowAndDark(t *testing.T) {
	t.Parallel()
	tab := browser(t)
	s := start(t, false)
	do(t, tab, chromedp.EmulateViewport(360, 800), chromedp.Navigate(s.url), drop(strings.Repeat("long ", 60)+".mov", "x"))
	shows(t, tab, "the upload", `document.querySelectorAll("#uploads > li").length === 1`)
	shows(t, tab, "no sideways scrolling", `document.documentElement.scrollWidth <= 360`)
	screenshot(t, tab, "narrow.png")
}

func TestAThousandAtOnce(t *testing.T) {
	t.Parallel()
	tab := browser(t)
	s := start(t, false)
	do(t, tab, chromedp.Navigate(s.url))
	const many = 1000
	s.many(many, ".mov")
	shows(t, tab, "a thousand uploads", fmt.Sprintf(`/^S3%d uploads/.test(document.getElementById("box-s3").textContent)`, many))
	shows(t, tab, "the latest, all done", `document.querySelectorAll("#uploads > li").length === 200 && document.querySelectorAll("#uploads > li.over").length === 200`)
	// Closing it breaks nothing.
	do(t, tab, chromedp.Navigate("about:blank"))
	s.many(1, ".mov")
}

// screenshot keeps a picture of the page where LOCALPAGE_PICTURES says.
func screenshot(t *testing.T, tab context.Context, name string) {
	t.Helper()
	dir := os.Getenv("LOCALPAGE_PICTURES")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}
