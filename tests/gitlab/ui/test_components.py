"""The components, as a page's author calls them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.forms.utils import flatatt
from django.template import Context, Template
from django.test import RequestFactory
from django.utils.safestring import mark_safe

from gitlab.ui.components.charts import Point
from gitlab.ui.components.library import attributes
from gitlab.ui.components.values import mebibytes, relative

pytestmark = pytest.mark.engineless


def render(source: Any, path: str = "/", **values: Any) -> Any:
    request = RequestFactory().get(path)
    context = Context({"request": request, "csrf_token": "token", **values})
    return Template("{% load ui %}" + source).render(context)


class TestWords:
    @pytest.mark.parametrize(
        ("ago", "words"),
        [
            (timedelta(seconds=3), "just now"),
            (timedelta(seconds=50), "1 minute ago"),
            (timedelta(minutes=3), "3 minutes ago"),
            (timedelta(minutes=59, seconds=50), "1 hour ago"),
            (timedelta(hours=23, minutes=50), "1 day ago"),
            (timedelta(days=12), "12 days ago"),
            (timedelta(days=45), "1 month ago"),
            (timedelta(days=800), "2 years ago"),
            (timedelta(days=-3), "in 3 days"),
            (timedelta(seconds=-5), "in a moment"),
        ],
    )
    def test_time_is_said_as_people_do(self, ago: Any, words: str) -> None:
        now = datetime(2030, 5, 1, 12, tzinfo=UTC)

        assert relative(now - ago, now) == words

    @pytest.mark.parametrize(
        ("count", "text"),
        [
            (0, "0.0 MiB"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (20_000, "19.5 KiB"),
            (50_000, "48.8 KiB"),
            (60_000, "0.1 MiB"),
            (228_590_133, "218.0 MiB"),
            (1024**4, "1,048,576.0 MiB"),
        ],
    )
    def test_sizes_have_one_unit_and_small_ones_differ(self, count: Any, text: str) -> None:
        assert mebibytes(count) == text

    def test_exact_values_wait_behind(self) -> None:
        moment = datetime(2030, 5, 1, 12, 3, 4, tzinfo=UTC)
        html = render("{% size 228590133 %}{% time moment %}{% time None %}", moment=moment)

        assert 'title="228,590,133 bytes"' in html
        assert 'datetime="2030-05-01T12:03:04Z" title="2030-05-01 12:03:04 UTC"' in html
        assert "never" in html

    def test_a_digest_shows_twelve_and_copies_all(self) -> None:
        digest = "sha256:" + "0123456789abcdef" * 4
        html = render("{% digest value %}", value=digest)

        assert ">0123456789ab<" in html
        assert f'data-copy="{digest}"' in html


class TestButton:
    def test_is_a_submit_or_a_link(self) -> None:
        assert '<button type="submit"' in render('{% button "Save" variant="primary" %}')
        assert '<a href="/x"' in render('{% button "Go" href="/x" %}')

    def test_passes_attributes_on(self) -> None:
        html = render('{% button "Go" hx_get="/x" name="go" value=none %}', none=None)

        assert 'hx-get="/x"' in html
        assert "value" not in html

    def test_attributes_are_written_as_django_writes_them(self) -> None:
        given = {"b": '"<&', "a": 7, "hidden": True, "safe": mark_safe("&amp;"), "none": None}
        said = {key: value for key, value in given.items() if value is not None}
        assert attributes(given) == flatatt(said)
        assert attributes({"for_": "x", "data_modal": False, "empty": ""}) == ' for="x"'

    def test_without_words_has_a_name(self) -> None:
        assert 'aria-label="Copy"' in render('{% button "Copy" icon="copy" icon_only=True %}')

    def test_escapes(self) -> None:
        html = render("{% button label href=href %}", label="<b>", href='"><script>')

        assert "<b>" not in html
        assert "<script>" not in html


class TestField:
    class Form(forms.Form):
        name = forms.CharField(help_text="Lower case.")
        note = forms.CharField(required=False)
        on = forms.BooleanField(required=False)
        kind = forms.ChoiceField(choices=[("a", "A")])
        level = forms.ChoiceField(choices=[("a", "A")], widget=forms.RadioSelect)

    def test_ties_help_and_errors_to_the_input(self) -> None:
        html = render("{% field form.name mono=True %}", form=self.Form({}))

        assert 'aria-describedby="id_name_help id_name_errors"' in html
        assert 'aria-invalid="true"' in html
        assert 'class="input input--mono"' in html
        assert 'id="id_name_errors"' in html

    def test_says_what_may_stay_empty(self) -> None:
        html = render("{% field form.note %}{% field form.name %}", form=self.Form())

        assert html.count("(optional)") == 1

    @pytest.mark.parametrize(
        ("name", "sign"),
        [("on", "field--check"), ("kind", 'class="select"'), ("level", "<fieldset")],
    )
    def test_knows_the_kinds(self, name: str, sign: str) -> None:
        form = self.Form()

        assert sign in render("{% field bound %}", bound=form[name])


class TestSlots:
    def test_go_to_the_nearest_block(self) -> None:
        html = render(
            '{% card title="Outer" %}{% card title="Inner" %}in{% slot "foot" %}F-in{% endslot %}'
            '{% endcard %}{% slot "foot" %}F-out{% endslot %}{% endcard %}'
        )

        assert html.index("F-in") < html.index("F-out")
        assert html.count("card__foot") == 2
        assert "<!--slot" not in html

    def test_keep_what_people_wrote_escaped(self) -> None:
        html = render(
            "{% card title=text %}{{ text }}{% slot 'actions' %}{{ text }}{% endslot %}{% endcard %}",
            text="<i>&",
        )

        assert html.count("&lt;i&gt;&amp;") == 3


class TestTable:
    def test_a_header_sorts_and_forgets_the_page(self) -> None:
        html = render('{% sort_header "Tag" "name" %}', path="/?sort=-size&after=x&q=v2")

        assert 'href="?sort=name&amp;q=v2"' in html
        assert "aria-sort" not in html

    def test_a_second_click_turns_the_order(self) -> None:
        html = render('{% sort_header "Size" "size" numeric=True %}', sort="-size")

        assert 'aria-sort="descending"' in html
        assert 'href="?sort=size"' in html
        assert 'class="num"' in html

    def test_numbers_begin_at_the_top(self) -> None:
        assert "sort=-size" in render('{% sort_header "Size" "size" descending=True %}')

    def test_rows_belong_to_the_bar(self) -> None:
        html = render(
            '{% select_row "v1" "v1" form="chosen" %}'
            '{% action_bar id="chosen" action="/delete" %}{% endaction_bar %}'
        )

        assert 'value="v1" form="chosen" aria-label="Select v1"' in html
        assert '<form class="actions" id="chosen" action="/delete" method="post">' in html
        assert "csrfmiddlewaretoken" in html

    def test_the_filter_keeps_the_order(self) -> None:
        html = render(
            '{% filter_bar target="tags" %}{% filter_select "p" "P" choices %}{% endfilter_bar %}',
            path="/tags?q=v2&sort=-size&p=b&after=x",
            choices=[("a", "A"), ("b", "B")],
        )

        assert 'name="sort" value="-size"' in html
        assert 'name="q" value="v2"' in html
        assert '<option value="b" selected>' in html
        assert "after" not in html

    def test_the_last_page_has_no_next(self) -> None:
        html = render('{% pagination previous="?before=x" text="121–128 of 128" %}')

        assert 'rel="prev"' in html
        assert 'rel="next"' not in html


class TestRest:
    def test_a_decision_repeats_its_verb(self) -> None:
        html = render(
            '{% confirm title="Delete web?" verb="Delete web" action="/d" cancel="/" numbers=n %}'
            "<p>Who pulls it gets nothing.</p>{% endconfirm %}",
            n=[("Tags", 3)],
        )

        assert 'method="post" action="/d"' in html
        assert ">Delete web</button>" in html
        assert "<dt>Tags</dt><dd>3</dd>" in html
        assert "csrfmiddlewaretoken" in html

    def test_work_is_asked_after_only_while_it_goes_on(self) -> None:
        running = render('{% job_progress "Deleting" done=1 total=4 url="/job" %}')
        done = render('{% job_progress "Deleted" state="done" done=4 total=4 url="/job" %}')

        assert 'hx-get="/job"' in running
        assert 'width="25.00%"' in running
        assert "hx-get" not in done

    @pytest.mark.parametrize(
        ("value", "sign"), [(10, "meter"), (85, "meter--warn"), (130, "meter--bad")]
    )
    def test_a_meter_warns(self, value: int, sign: str) -> None:
        assert f'{sign}"' in render("{% meter value 100 label='Used' warn_at=0.8 %}", value=value)

    def test_a_meter_of_nothing_is_empty(self) -> None:
        assert 'width="0.00%"' in render("{% meter 5 0 label='Used' %}")

    @pytest.mark.parametrize(
        ("name", "initials"), [("Ada Lovelace", "AL"), ("grace", "gr"), ("-", "?"), ("", "?")]
    )
    def test_an_avatar_has_initials(self, name: str, initials: str) -> None:
        assert f'data-initials="{initials}"' in render("{% avatar name %}", name=name)

    def test_a_toast_undoes_by_post(self) -> None:
        toast = SimpleNamespace(
            text="Gone.", tone="good", undo_url="/u", undo_label="Undo", undo_fields={"id": "7"}
        )
        html = render("{% toast toast %}", toast=toast)

        assert 'method="post" action="/u"' in html
        assert 'name="id" value="7"' in html

    def test_a_menu_item_posts_or_links(self) -> None:
        html = render(
            '{% menu %}{% menu_item "A" href="/a" %}{% menu_item "B" post="/b" %}{% endmenu %}'
        )

        assert 'href="/a"' in html
        assert 'method="post" action="/b"' in html

    def test_tabs_mark_where_one_is(self) -> None:
        items = [
            {"label": "A", "url": "/a", "active": True, "count": 0},
            {"label": "B", "url": "/b"},
        ]
        html = render("{% tabs items %}", items=items)

        assert html.count('aria-current="page"') == 1
        assert html.count("tabs__count") == 1

    def test_a_command_copies_without_its_line_end(self) -> None:
        assert 'data-copy="a\nb"' in render("{% copy text %}", text="a\nb\n")


class TestChart:
    POINTS = (Point("16 Nov", 4, "4.0 MiB"), Point("17 Nov", 0, "0 B"), Point("18 Nov", 1, "<1>"))

    def test_it_says_in_words_what_it_draws(self) -> None:
        text = render('{% chart "Freed a day" points %}', points=self.POINTS)
        assert 'aria-label="Freed a day: 16 Nov 4.0 MiB, 17 Nov 0 B, 18 Nov &lt;1&gt;"' in text
        assert text.count("<title>") == 3
        assert text.count('class="chart__column"') == 2
        assert 'y="0.0" width="7" height="48.0"' in text
        assert "at most 4.0 MiB" in text
        assert '<tr><th scope="row">17 Nov</th><td>0 B</td></tr>' in text

    def test_little_beside_much_is_seen(self) -> None:
        points = [Point("a", 1_000_000, "much"), Point("b", 1, "little")]
        assert 'height="1.5"' in render('{% chart "x" points %}', points=points)

    def test_nothing_is_drawn_as_nothing(self) -> None:
        text = render('{% chart "Pushes" points %}', points=[Point("a", 0, "0")])
        assert "chart__column" not in text
        assert ">none<" in text
        assert "<figure" in render('{% chart "Pushes" points %}', points=[])
