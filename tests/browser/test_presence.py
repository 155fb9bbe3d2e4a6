"""P2, W1 in a real browser: what ends a visit, and what must not."""

import asyncio
import itertools
import json
import re
import threading
import time

import pytest
from playwright.sync_api import expect

from dialogs.live import tickets
from tests.browser.conftest import CHROMIUM, QUIET

NO_STREAMS = "delete window.WebSocket"
# harsher than any browser is to its hidden tabs: no timer ever fires again
HIDE = """() => {
    const last = setTimeout(() => {});
    for (let id = 0; id <= last; id += 1) { clearTimeout(id); clearInterval(id); }
    window.setTimeout = window.setInterval = window.requestAnimationFrame = () => 0;
    Object.defineProperty(document, 'hidden', {get: () => true});
    document.dispatchEvent(new Event('visibilitychange'));
}"""
BOTH_WAYS = pytest.mark.parametrize("way", ["stream", "poll"])


def on_the_shop(context, url):
    """A page of the demo shop whose widget is there; every frame and request of its live part is counted in `page.heard`."""
    page = context.new_page()
    page.heard = []

    def streams(socket):
        page.heard.append("stream")
        socket.on("framereceived", lambda frame: page.heard.append("ping") if frame == "ping" else None)

    page.on("websocket", streams)
    page.on("request", lambda request: page.heard.append(request.url.rpartition("/")[2]) if "/live/" in request.url else None)
    page.goto(f"{url}/demo/")
    expect(page.get_by_role("button", name="Leave a message")).to_be_visible()
    return page


def ask(page):
    """The visitor leaves a message; the dialog's number."""
    page.get_by_role("button", name="Leave a message").click()
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Email").fill("marina@mail.example")
    window.get_by_role("textbox", name="Message").fill("Do you have green tea?")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text(re.compile(r"Inquiry #\d+ received"), use_inner_text=True)
    return int(re.search(r"#(\d+)", window.inner_text()).group(1))


class Watch:
    """What the service knows of one dialog's visitor."""

    def __init__(self, server, number):
        self.server, self.number = server, number

    def __call__(self):
        """[is the visitor present, visits alive, how often the dialog was told of an absence or a return]"""
        return json.loads(
            self.server.run(f"""
                import json
                dialog = Dialog.objects.get(account__slug="demo", number={self.number})
                visits = dialog.visitor.visits.filter(ended_at=None).count()
                traces = dialog.events.filter(kind__in=["visitor_left", "visitor_came_back"]).count()
                print(json.dumps([dialog.visitor.is_present, visits, traces]))
            """)
        )

    def left_at(self):
        """The moment the visitor left, as stored; Unix seconds."""
        return float(
            self.server.run(f"""
                print(Dialog.objects.get(account__slug="demo", number={self.number}).visitor.left_at.timestamp())
            """)
        )

    def becomes(self, wanted, within):
        """Seconds until the facts were `wanted`."""
        began = time.monotonic()
        while (facts := self()) != wanted:
            assert time.monotonic() - began < within, f"{facts}, not {wanted}, after {within} s"
            time.sleep(0.1)
        return time.monotonic() - began

    def stays(self, wanted, seconds):
        """The facts are `wanted` all the time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self() == wanted
            time.sleep(0.3)


@pytest.fixture
def short_lease(server):
    """The demo account's visits end 16 s after their last sign: well longer than one ping."""
    server.run("change_settings(Account.objects.get(slug='demo'), {'visit_lease': 16}, actor=None)")
    yield 16
    server.run("change_settings(Account.objects.get(slug='demo'), {'visit_lease': 30}, actor=None)")


@pytest.mark.browser
def test_the_pages_goodbye_ends_its_visit_two_seconds_later(server, visitor):
    page = on_the_shop(visitor, server.url)
    watch = Watch(server, ask(page))
    assert watch() == [True, 1, 0]
    assert "stream" in page.heard
    assert "poll" not in page.heard
    page.close(run_before_unload=True)
    assert watch.becomes([False, 0, 1], within=5) > 1.5


@pytest.mark.browser
def test_going_to_the_next_page_leaves_no_trace(server, visitor):
    page = on_the_shop(visitor, server.url)
    watch = Watch(server, ask(page))
    page.get_by_role("link", name="About the shop").click()
    expect(page.get_by_role("button", name="Leave a message")).to_be_visible()
    watch.becomes([True, 2, 0], within=3)  # the next page is heard of before the last one's goodbye is due
    watch.becomes([True, 1, 0], within=5)


@pytest.mark.long
def test_a_page_from_the_page_cache_is_a_visit_again(server, chromium):
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM, args=QUIET, ignore_default_args=["--disable-back-forward-cache"]
    )
    try:
        page = on_the_shop(browser.new_context(locale="en-GB"), server.url)
        watch = Watch(server, ask(page))
        page.evaluate("() => { window.wasHere = true; }")
        page.goto("about:blank")
        watch.becomes([False, 0, 1], within=5)
        page.evaluate("() => { setTimeout(() => history.back(), 50); }")
        page.wait_for_url("**/demo/", wait_until="commit")  # a page that comes back is not loaded again
        assert page.evaluate("window.wasHere"), "the page was loaded anew instead of coming from the page cache"
        watch.becomes([True, 1, 2], within=5)
        server.run(f"""
            dialog = Dialog.objects.get(account__slug="demo", number={watch.number})
            conversation.answer(dialog.pk, Operator.objects.get(username="anna"), "Welcome back", key="cache-1")
        """)
        expect(page.get_by_role("log")).to_contain_text("Welcome back", use_inner_text=True)
    finally:
        browser.close()


@pytest.mark.long
@BOTH_WAYS
def test_ten_tabs_of_one_browser_all_live_and_the_sites_own_requests_are_quick(server, visitor, short_lease, way):
    if way == "poll":
        visitor.add_init_script(NO_STREAMS)
    tabs = [on_the_shop(visitor, server.url) for _ in range(10)]
    for tab in tabs:
        took = tab.evaluate("""async () => {
            const began = performance.now();
            await Promise.all([1, 2, 3].map((n) => fetch(`/demo/?own=${n}`, {cache: 'no-store'}).then((answer) => answer.text())));
            return performance.now() - began;
        }""")
        assert took < 2000
        assert ("stream" in tab.heard) == (way == "stream")
    if way == "stream":
        assert not any("poll" in tab.heard for tab in tabs)
    watch = Watch(server, ask(tabs[9]))
    watch.becomes([True, 10, 0], within=3)
    watch.stays([True, 10, 0], short_lease + 2)
    server.choose("anna", "online")
    for tab in tabs:
        expect(tab.get_by_role("button", name="Chat with us")).to_be_visible()
    tabs[0].close(run_before_unload=True)  # without streams, the one that polled: another takes its place
    server.choose("anna", "offline")
    for tab in tabs[1:]:
        expect(tab.get_by_role("button", name="Leave a message")).to_be_visible()
    watch.becomes([True, 9, 0], within=5)


@pytest.mark.long
@BOTH_WAYS
def test_a_hidden_tab_whose_timers_sleep_stays(server, visitor, short_lease, way):
    if way == "poll":
        visitor.add_init_script(NO_STREAMS)
    page = on_the_shop(visitor, server.url)
    watch = Watch(server, ask(page))
    page.evaluate(HIDE)
    watch.stays([True, 1, 0], short_lease * 1.5)
    assert way in page.heard
    assert page.evaluate("document.hidden")


class Proxy:
    """A TCP proxy to a port of this machine that can stop forwarding without a word: no FIN, no RST."""

    def __init__(self, target):
        self.target = target
        self.loop = asyncio.new_event_loop()
        self.flows = asyncio.Event()
        self.flows.set()
        self.port = 0
        self.carrying = {}  # what runs for each connection, and its two ends
        started = threading.Event()
        self.thread = threading.Thread(target=self._run, args=[started], daemon=True)
        self.thread.start()
        assert started.wait(5)

    def _run(self, started):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.loop.call_soon(started.set)
        self.loop.run_forever()
        self.loop.close()

    async def _carry(self, reader, writer):
        ends = self.carrying[asyncio.current_task()] = [writer]
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
            ends.append(server_writer)
            await asyncio.gather(self._pipe(reader, server_writer), self._pipe(server_reader, writer))
        except OSError:
            pass  # one end broke off
        finally:
            for end in ends:
                end.transport.abort()
            del self.carrying[asyncio.current_task()]

    async def _pipe(self, reader, writer):
        while data := await reader.read(65536):
            await self.flows.wait()
            writer.write(data)
        await self.flows.wait()
        writer.close()

    def cut(self):
        self.loop.call_soon_threadsafe(self.flows.clear)

    def mend(self):
        self.loop.call_soon_threadsafe(self.flows.set)

    def stop(self):
        async def end():
            self.server.close()
            for end in itertools.chain(*self.carrying.values()):
                end.transport.abort()  # before anything flows again: what was held back never arrives
            self.flows.set()
            if self.carrying:
                await asyncio.wait(set(self.carrying))

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


@pytest.fixture
def proxy(server):
    proxy = Proxy(server.port)
    yield proxy
    proxy.stop()


@pytest.mark.long
@BOTH_WAYS
def test_a_network_that_is_cut_without_a_word_ends_the_visit_after_its_lease(server, visitor, short_lease, proxy, way):
    if way == "poll":
        visitor.add_init_script(NO_STREAMS)
    page = on_the_shop(visitor, f"http://127.0.0.1:{proxy.port}")
    watch = Watch(server, ask(page))
    proxy.cut()
    cut_at = time.time()
    watch.becomes([False, 0, 1], within=short_lease + 5)
    # one lease after the last sign of life, which came at most ten seconds before the cut, or was still on its way
    assert short_lease - 11 < watch.left_at() - cut_at < short_lease + 1
    expect(page.get_by_role("dialog")).to_contain_text("No network", use_inner_text=True, timeout=60_000)
    proxy.mend()
    watch.becomes([True, 1, 2], within=35)
    expect(page.get_by_role("dialog")).not_to_contain_text("No network", use_inner_text=True)


@pytest.mark.long
def test_a_live_process_that_is_killed_and_comes_back_shows_nobody_as_gone(server, visitor):
    pages = [on_the_shop(visitor, server.url), on_the_shop(visitor, server.url)]
    watch = Watch(server, ask(pages[0]))
    watch.becomes([True, 2, 0], within=3)  # until the first message both were pages of somebody without a row
    server.process.kill()
    server.stop()
    server.start()
    until = time.monotonic() + 45  # the dead process's lease ends after 30 s
    while time.monotonic() < until:
        assert watch() == [True, 2, 0]
        time.sleep(0.3)
    pages[0].wait_for_timeout(100)  # the driver tells of what happened only while it is asked
    assert all(page.heard.count("stream") >= 2 for page in pages)
    pages[1].close(run_before_unload=True)
    pages[0].close(run_before_unload=True)
    watch.becomes([False, 0, 1], within=5)


@pytest.mark.long
def test_after_a_restart_a_page_comes_back_with_the_ticket_its_stream_gave_it(server, visitor):
    page = on_the_shop(visitor, server.url)
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "/widget/api/" in request.url else None)
    page.wait_for_timeout((tickets.SECONDS_TO_BEGIN + 3) * 1000)  # what the page was given first is of no use any more
    server.process.kill()
    server.stop()
    server.start()
    pings = page.heard.count("ping")
    until = time.monotonic() + 40
    while page.heard.count("ping") == pings:
        assert time.monotonic() < until, "the page did not come back"
        page.wait_for_timeout(200)
    assert asked == []
