"""Writes test/fixtures/jinja.json: one-line templates of our own as Jinja2 renders them with the settings of transformers.
`null` as the result stands for a refusal. Development only.
    pip install jinja2==3.1.6 transformers==5.24.0
    python scripts/oracles/jinja.py
"""
import json
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

OUT = Path(__file__).parents[2] / "test/fixtures/jinja.json"

VARIABLES = {
    "s": "  Hello, World!\n",
    "empty": "",
    "bom": "\ufeffx\ufeff ",
    "emoji": "a😀b👍🏽c",
    "quote": "it's \"so\"",
    "html": "<b>&'\"</b>",
    "lines": "one\n  two\r\nthree\n\n",
    "n": 7,
    "neg": -7,
    "big": 12345678901234567890123,
    "x": 2.5,
    "small": 0.00000012,
    "large": 1e16,
    "whole": 3.0,
    "yes": True,
    "none": None,
    "list": [3, 1, 2],
    "words": ["banana", "Apple", "cherry", "apple"],
    "nested": [[1, 2], [3, [4, None, True]]],
    "d": {"items": [1], "keys": "k", "b": 2, "a": 1, "get": "g", "10": "ten", "2": "two"},
    "people": [
        {"name": "Bo", "age": 30, "tags": ["x"]},
        {"name": "al", "age": 25},
        {"name": "Cy", "age": 30, "tags": []},
    ],
    "nones": {"a": None, "l": [None, 1]},
    "same": [{"r": 1}, {"r": 2}, {"r": 1}],
    "schema": {"type": ["string", "null"], "items": {"type": "object", "properties": {"items": {"type": "integer"}}}, "enum": [1, 2.0, None, True, "é\u2028😀"]},
}

GROUPS = {
    "printing": r"""
{{ true }}{{ false }}{{ none }}{{ None }}{{ True }}
{{ list }} {{ nested }} {{ d }}
{{ x }} {{ whole }} {{ small }} {{ large }} {{ 1e3 }} {{ 1.5e-7 }} {{ 1e22 }} {{ 123456789.123 }} {{ 0.1 + 0.2 }}
{{ big }} {{ 1_000 }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ 5 }}
{{ quote | list | string }}
{{ [quote, "a'b", 'c"d', "\\", "\n\t\x00\x7f\xad\u200b", "é", "😀"] }}
{{ ("a",) }} {{ () }} {{ (1, 2) }} {{ 1, 2 }}
{{ {1: "a", "b": none, none: 1, true: 2} }}
{{ missing }}|{{ d.missing }}|{{ [missing] }}
{{ "a" "b" 'c' }}
{{ '\x41\u00e9\n\t\\\'\q\101' }}
{{ range(5) }} {{ range(2, 10, 3) }} {{ range(3) | list }}
{{ d.items() }} {{ d.keys() }} {{ d.values() }}
{{ namespace(a=1) }}
{{ schema.type }} {{ schema }}
{{ -0.0 }} {{ 1e400 }} {{ -1e400 }}
{{ [1.0, 100000000000000000.0, 0.0001, 0.00001] }}
{{ emoji }} {{ [emoji] }}
""",
    "strings": r"""
{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}
{{ '\n  a'.lstrip('\n') }}|{{ 'xx'.strip('x') }}|{{ 'xyaxy'.strip('yx') }}|{{ 'abc'.rstrip('bc') }}
{{ bom | trim | tojson }} {{ bom.strip() | tojson }}
{{ 'a b  c'.split() }} {{ 'a,b,c'.split(',') }} {{ 'a,b,c'.split(',', 1) }} {{ ' a b '.split(' ') }}
{{ ' a b c '.split(none, 1) }} {{ 'a b '.split(none, 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }}
{{ 'a,b,c'.rsplit(',', 1) }} {{ 'a--b--c'.rsplit('--') }} {{ 'abc'.split(sep='b', maxsplit=1) }}
{{ lines.splitlines() }} {{ lines.splitlines(true) }} {{ 'a\x1cb\x85c\u2028d'.splitlines() }}
{{ 'hello'.find('l') }} {{ 'hello'.find('z') }} {{ 'hello'.rfind('l') }} {{ 'hello'.count('l') }} {{ 'hello'.index('e') }} {{ 'aaaa'.count('aa') }} {{ 'abc'.count('') }}
{{ 'hello'.find('l', 3) }} {{ 'hello'.find('h', 1) }} {{ 'hello'.startswith('ell', 1) }} {{ 'hello'.endswith(('x', 'lo')) }} {{ 'hello'.startswith('h') }}
{{ 'hello'.index('z') }}
{{ emoji.find('b') }} {{ emoji.index('c') }} {{ emoji | length }} {{ emoji[1] }} {{ emoji[2:] }} {{ emoji[::-1] }} {{ emoji[-1] }}
{{ 'abcdef'.removeprefix('abc') }} {{ 'abcdef'.removesuffix('def') }} {{ 'abc'.removeprefix('x') }} {{ 'abc'.removesuffix('') }}
{{ '-'.join(['a', 'b']) }} {{ ''.join(d.keys()) }} {{ ', '.join('xyz') }}
{{ ', '.join([1, 2]) }}
{{ 'abc'.upper() }} {{ 'ABC'.lower() }} {{ 'hELLO wORLD'.capitalize() }} {{ "they're bill's".title() }} {{ 'aBc'.swapcase() }} {{ 'ß'.upper() }} {{ 'ßx'.capitalize() }}
{{ 'a-b-c'.replace('-', '+') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'abc'.replace('', '-') }} {{ 'abc'.replace('', '-', 2) }}
{{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'abc'.partition('=') }} {{ 'abc'.rpartition('=') }}
{{ 'abc'.center(8, '*') }}|{{ 'abc'.center(7) }}|{{ 'abcd'.center(7, '-') }}|{{ 'abc'.ljust(5) }}|{{ 'abc'.rjust(5, '.') }}|{{ '-42'.zfill(6) }}
{{ 'a\tb'.expandtabs(4) }}|{{ '12'.isdigit() }}{{ 'a1'.isalnum() }}{{ 'ab'.isalpha() }}{{ ' \n'.isspace() }}{{ ''.isspace() }}{{ 'Ab'.istitle() }}{{ 'ab'.islower() }}{{ 'AB1'.isupper() }}{{ '1'.isupper() }}
{{ '{} {}'.format(1, 'a') }} {{ '{1} {0}'.format('a', 'b') }} {{ '{name}!'.format(name='x') }} {{ '{0.name}{0[age]}'.format(people[0]) }} {{ '{{}}'.format() }}
{{ '{:>6}|{:<6}|{:^6}|{:*^7}'.format('a', 'b', 'c', 'd') }} {{ '{:05d} {:+d} {:,} {:x} {:#x} {:b}'.format(42, 42, 1234567, 255, 255, 5) }}
{{ '{:.2f} {:8.3f} {:e} {:g} {:.1%} {!r}'.format(3.14159, 2.5, 12345.678, 0.00001, 0.256, 'q') }} {{ '{:.0f} {:.0f} {:.1f}'.format(0.5, 1.5, 0.25) }}
{{ '{}'.format() }}
{{ '%s and %s' % ('a', 1) }} {{ '%d%%' % 5 }} {{ '%5.1f|%-5s|%05d|%x' % (2.25, 'a', 42, 255) }} {{ '%(a)s' % {'a': none} }} {{ '%s' % [1] }} {{ '%r' % 'x' }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ 'x' * 3 }} {{ 3 * 'ab' }} {{ 'x' * 0 }} {{ 'x' * -1 }} {{ [0] * 3 }} {{ (1,) * 2 }}
{{ 'a' + 'b' }} {{ 'a' ~ 1 ~ none ~ true ~ missing ~ [1] }}
{{ 'a' + 1 }}
{{ s + missing }}
{{ 'abc'[1] }} {{ 'abc'[-1] }} {{ 'abc'[5] }}| {{ 'abc'[1:] }} {{ 'abc'[:-1] }} {{ 'abc'[::2] }} {{ 'abc'[::-1] }} {{ 'abc'[5:] }} {{ 'abcdef'[4:1:-1] }}
{{ 'abc' < 'abd' }} {{ 'B' < 'a' }} {{ 'a' < 'ab' }} {{ 'a' == 'a' }} {{ '\uffff' < '😀' }}
{{ 'abc' < 1 }}
{{ 'A' | lower }} {{ list | upper }} {{ none | string }} {{ d.a | string + 'x' }}
{{ '' .join(['x'] * 3) }} {{ "a" if "b" in "abc" else "c" }} {{ '' in 'abc' }} {{ 'x' not in 'abc' }}
{{ 1 in 'abc' }}
{{ 'İ'.lower() | length }} {{ 'ΑΣ'.lower() }} {{ 'ŉ'.upper() }} {{ 'straße'.casefold() }}
""",
    "numbers": r"""
{{ 7 / 2 }} {{ 7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ -7 // 2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }}
{{ 1 / 0 }}
{{ 7 % 0 }}
{{ 1 + true }} {{ true + true }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 0 == false }} {{ 1.0 == true }} {{ 4 / 2 }} {{ 10 * 0.5 }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 != 1 }} {{ 1 == 1 == 1 }} {{ 1 < 2 in [2] }}
{{ -n }} {{ +n }} {{ - -n }} {{ not n }} {{ -n|abs }} {{ -2 ** 2 }}
{{ big * big }} {{ big // 7 }} {{ 9007199254740993 }} {{ 9007199254740993 + 0 }}
{{ x | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 7 | round }} {{ 1234 | round(-2) }} {{ 2.1 | round(0, 'ceil') }} {{ 2.9 | round(method='floor') }} {{ 2.15 | round(1) }} {{ -0.4 | round }}
{{ '42' | int }} {{ '4.9' | int }} {{ 'x' | int }} {{ 'x' | int(-1) }} {{ 3.9 | int }} {{ '0x1f' | int(base=16) }} {{ 'ff' | int(0, 16) }} {{ none | int }} {{ ' 7 ' | int }} {{ true | int }} {{ '1_000' | int }} {{ '-3' | int }}
{{ '4.5' | float }} {{ 'x' | float }} {{ 3 | float }} {{ 'nan' | float }} {{ '1e3' | float }} {{ none | float(1.5) }}
{{ [1, 2, 3] | sum }} {{ [1.5, 2] | sum }} {{ people | sum('age') }} {{ [] | sum }} {{ [[1], [2]] | sum(start=[]) }}
{{ list | min }} {{ list | max }} {{ words | min }} {{ words | max }} {{ [] | min }}| {{ people | max(attribute='age') }}
{{ 5 is odd }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 5 is number }} {{ true is number }} {{ true is integer }} {{ 1.0 is float }} {{ 1 is float }}
{{ 1 is eq 1 }} {{ 2 is gt 1 }} {{ 2 is lt(1) }} {{ 2 is ge 2 }} {{ 2 is sameas 2 }} {{ none is sameas none }} {{ 1 is sameas true }} {{ 2 is in [1, 2] }} {{ 2 is not in [1] }}
{{ 1000 | filesizeformat }} {{ 1 | filesizeformat }} {{ 1536 | filesizeformat(true) }} {{ 123456789 | filesizeformat }} {{ 5 | filesizeformat }}
{{ (5).bit_length() }} {{ x.is_integer() }} {{ n.real }} {{ (3).denominator }}
{{ '%.3f' % 2 }} {{ '%e' % 12345.6789 }} {{ '%g' % 1e10 }} {{ '%g' % 0.0001 }} {{ '%+d' % 3 }} {{ '% d' % 3 }} {{ '%o' % 8 }} {{ '%c' % 65 }} {{ '%5s' % 'é' }} {{ '%.2s' % 'abc' }} {{ '%i' % 3.9 }}
""",
    "collections": r"""
{{ d.items() | list }} {{ d['items'] }} {{ d.get('b') }} {{ d.get('zz') }} {{ d.get('zz', 5) }} {{ d.keys() | list }} {{ d.values() | list | length }}
{{ d.b }} {{ d['b'] }} {{ d['10'] }} {{ d.2 }}| {{ d[2] }}| {{ d.get is callable }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k in d %}{{ k }};{% endfor %}{{ 'b' in d }}{{ 'zz' in d }}{{ 2 in d }}
{{ {1: 'a'}[1] }} {{ {1: 'a'}[1.0] }} {{ {1: 'a'}[true] }} {{ {(1, 2): 'x'}[(1, 2)] }} {{ {'a': 1, 'a': 2} }}
{{ {[1]: 2} }}
{{ d | length }} {{ d | count }} {{ [] | length }} {{ missing | length }} {{ (1, 2) | length }} {{ range(4) | length }}
{{ none | length }}
{{ 5 | length }}
{{ list[0] }} {{ list[-1] }} {{ list[9] }}| {{ list[1:] }} {{ list[::-1] }} {{ list[:2] }} {{ (1, 2, 3)[1:] }} {{ range(10)[2] }} {{ range(10)[-1] }} {{ list.0 }}
{{ list.index(1) }} {{ list.count(3) }} {{ (1, 1).count(1) }} {{ list.copy() }} {{ list.index(3, -3) }}
{{ list.append(4) }}
{{ list.sort() }}
{{ d.update({'z': 1}) }}
{{ d.pop('a') }}
{{ list + [4] }} {{ (1,) + (2,) }} {{ list == [3, 1, 2] }} {{ [1] == (1,) }} {{ [1, 2] < [1, 3] }} {{ {'a': 1} == {'a': 1.0} }} {{ list != [] }}
{{ list + (4,) }}
{{ none in list }} {{ none in [none] }} {{ 3.0 in list }} {{ [1, 2] in nested }} {{ 3 not in list }} {{ 1 in missing }} {{ 1 in (1, 2) }} {{ 3 in range(5) }}
{{ 1 in none }}
{{ list | sort }} {{ list | sort(reverse=true) }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ people | sort(attribute='age') | map(attribute='name') | list }} {{ people | sort(attribute='age,name') | map(attribute='name') | join(',') }}
{{ [1, 'a'] | sort }}
{{ words | unique | list }} {{ [1, 1.0, true, 2] | unique | list }} {{ people | unique(attribute='age') | map(attribute='name') | list }}
{{ list | first }} {{ list | last }} {{ [] | first }}| {{ d | first }} {{ 'abc' | first }} {{ 'abc' | last }} {{ missing | first }}|
{{ list | reverse | list }} {{ 'abc' | reverse }} {{ d | reverse | list }} {{ list | join }} {{ list | join('-') }} {{ people | join(', ', attribute='name') }} {{ [1, none, true] | join('|') }}
{{ 'abc' | list }} {{ d | list }} {{ (1, 2) | list }} {{ d.items() | list }} {{ missing | list }}
{{ none | list }}
{{ words | map('upper') | list }} {{ words | map('length') | join(' ') }} {{ [' a '] | map('trim') | list }} {{ ['a-b'] | map('replace', '-', '+') | list }} {{ people | map(attribute='tags', default='none') | list }} {{ people | map(attribute='tags.0') | list }}
{{ [1, 0, 2] | select | list }} {{ [1, 2, 3] | select('odd') | list }} {{ [1, 2, 3] | reject('gt', 1) | list }} {{ list | select('in', [1, 3]) | list }} {{ none | select | list }} {{ [none, 1] | reject('none') | list }}
{{ people | selectattr('tags') | map(attribute='name') | list }} {{ people | selectattr('age', 'equalto', 30) | list | length }} {{ people | rejectattr('tags', 'defined') | map(attribute='name') | list }} {{ none | selectattr('a') | list }} {{ missing | selectattr('x') | list }} {{ people | selectattr('age', '>', 26) | map(attribute='name') | join }}
{{ list | select('odd') | length }}
{{ (list | select('odd'))[0] }}|{{ list | select('odd') | first }}
{{ list | select('odd') | last }}
{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3] | batch(2, 'x') | list }} {{ [1, 2, 3, 4, 5] | slice(2) | list }} {{ [1, 2, 3] | slice(2, 'x') | list }}
{% for g in people | groupby('age') %}{{ g.grouper }}:{{ g.list | map(attribute='name') | join(',') }};{% endfor %}{{ ['b', 'B', 'a'] | groupby(0) | length }}
{{ d | dictsort }} {{ {'b': 1, 'A': 2} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'a': 2} | dictsort(by='value', reverse=true) }}
{{ d | items | list }} {{ missing | items | list }}
{{ list | items | list }}
{{ dict(a=1, b=2) }} {{ dict([('x', 1)]) }} {{ dict({'a': 1}, b=2) }} {{ dict(d).b }} {{ dict() }} {{ dict.fromkeys(['a', 'b'], 0) }}
{{ nones.a }}{{ nones['a'] }}{{ nones.get('a', 5) }}{{ nones.l[0] }}{{ nones.l | first }}{{ nones.l[:1] | last }}{{ '{} {x}'.format(none, x=none) }}{% for i in nones.l %}{{ loop.previtem }}{{ loop.nextitem }}{% endfor %}{{ nones.a is defined }}{{ nones.a is none }}
{{ same[0] == same[2] }} {{ same[2] == same[-1] }} {% for m in same %}{{ m == same[-1] }}{{ loop.last }}{% endfor %}
{{ d.a.b }}|{{ d.zz is defined }}{{ d.a is defined }}{{ d['zz'] is undefined }}
{{ d.zz.y }}
{{ missing.x }}
{{ missing() }}
{{ d() }}
{{ list is sequence }}{{ 'a' is sequence }}{{ d is sequence }}{{ 5 is sequence }}{{ d is mapping }}{{ list is mapping }}{{ 'a' is iterable }}{{ 5 is iterable }}{{ d.items() is iterable }}{{ missing is iterable }}{{ 'a' is string }}{{ 1 is string }}{{ none is none }}{{ missing is none }}{{ true is boolean }}{{ true is true }}{{ 1 is true }}{{ range is callable }}{{ d.items is callable }}
{{ 'upper' is filter }}{{ 'nope' is filter }}{{ 'odd' is test }}{{ 'AB' is upper }}{{ 'ab' is lower }}{{ none is not none }}{{ 1 is not defined }}
{{ list is missingtest }}
{{ list | missingfilter }}
{{ people[0].name }} {{ people[0]['name'] }} {{ people[9] }}| {{ people | length }} {{ people[0].tags[0] }} {{ people[1].tags }}|
{{ 'a' if false }}|{{ 'a' if true else 'b' }} {{ (1 if false) is defined }} {{ 1 if 0 else 2 if 0 else 3 }}
{{ none or 'x' }} {{ '' or [] or 0 }} {{ 'a' and 'b' }} {{ 0 and 1 }} {{ not none }} {{ not '' and not [] }} {{ missing or 'd' }}
{{ {} | default('x') }} {{ missing | default('x') }} {{ none | default('x') }} {{ none | default('x', true) }} {{ '' | d('y', true) }} {{ missing | d }}| {{ d.zz | default([]) }}
""",
    "statements": r"""
{% set a = 1 %}{% set b, c = 2, 3 %}{{ a }}{{ b }}{{ c }}{% set (p, q) = (4, 5) %}{{ p }}{{ q }}
{% set a = 1 %}{% for i in [1, 2] %}{% set a = i %}{{ a }}{% endfor %}{{ a }}
{% set ns = namespace(n=0, l=[]) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.n }}{{ ns.l }}{{ ns.zz }}|{{ ns['n'] }}
{% set ns = namespace() %}{% set ns._x = 1 %}
{% set ns = {} %}{% set ns.x = 1 %}
{% if true %}{% set a = 1 %}{% endif %}{{ a }}{% if false %}{% set b = 1 %}{% else %}{% set b = 2 %}{% endif %}{{ b }}
{% set a %}x{{ 1 }}y{% endset %}{{ a }}{% set b | upper | trim %} abc {% endset %}{{ b }}|
{% if 0 %}a{% elif '' %}b{% elif [] %}c{% else %}d{% endif %}{% if missing %}x{% endif %}
{% for i in [] %}x{% else %}none{% endfor %}{% for i in missing %}x{% else %}none{% endfor %}
{% for i in none %}x{% endfor %}
{% for i in 5 %}x{% endfor %}
{% for i in 'abc' %}{{ i }}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }},{% endfor %}
{% for i in [1, 2, 3] %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.changed(i > 1) }};{% endfor %}{{ loop }}|
{% for i in [1, 2, 3, 4] if i is odd %}{{ i }}{{ loop.length }}{{ loop.last }}{% endfor %}
{% for i in [1, 2, 3, 4] %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for a, b in [(1, 2), [3, 4]] %}{{ a }}{{ b }}{% endfor %}{% for (a, (b, c)) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for i in [1, [2, [3]]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}{{ loop.depth }}{% endif %}{% endfor %}
{% for i in range(3) %}{% for j in range(i) %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}
{% macro m(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, c=3) }} {{ m(b=5, a=4) }} {{ m() }}|
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, z=2) }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, z=3) }}
{% macro m(x) %}[{{ caller() }}{{ x }}]{% endmacro %}{% call m(1) %}body{% endcall %}
{% macro m() %}{{ caller('a', b='b') }}{% endmacro %}{% call(x, b) m() %}{{ x }}-{{ b }}{% endcall %}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% macro f() %}{{ outer }}{% endmacro %}{% set outer = 1 %}{{ f() }}{% set outer = 2 %}{{ f() }}
{% macro f() %}{% set inner = 1 %}{{ inner }}{% endmacro %}{{ f() }}{{ inner }}|{{ f.name }}{{ f.arguments }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f('a') | upper }}{{ f('a') ~ 'b' }}{{ f(none) }}{{ f('  y ') | trim }}|
{% macro f(x) %}{% endmacro %}{% if f %}yes{% endif %}{{ f is callable }}
{% filter upper %}abc{{ 'd' }}{% endfilter %}{% filter replace('a', 'b') | upper %}aa{% endfilter %}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set c = 3 %}{% endwith %}{{ a }}{{ c }}|{% with %}{% set z = 1 %}{{ z }}{% endwith %}
{% raw %}{{ x }}{% if %}{% endraw %}|{%- raw -%} {{ y }} {%- endraw -%} |
{% generation %}a{{ 1 }}{% set g = 1 %}{% endgeneration %}{{ g }}|
{% print 1, 'a' %}
{% set x = 5 if true else 6 %}{{ x }}{% set t = 1, 2 %}{{ t }}
{%+ if true +%} a {%+ endif %}|
a {#- comment -#} b {# other #} c
{{- 'a' -}} b {{- 'c' }} d
{{ raise_exception('no') }}
{% if false %}{{ raise_exception('no') }}{% endif %}ok
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{% set j = joiner('-') %}{{ j() }}x{{ j() }}y{{ j() }}
{% block b %}in{% endblock %}{% block c scoped %}x{% endblock c %}
{% nope %}
{% if true %}
{{ 1 + }}
{{ 'a }}
{{ foo(a b) }}
{% for i in [1,2] %}{{ i }}{% endif %}
{{ [1, 2, }}
{{ (1 }}
{% set 5 = 1 %}
{{ d | items is iterable }}{{ 5 if d is mapping and d.a == 1 else 6 }}{{ d.a is defined and d.zz is not defined }}
{{ 1 if d is not mapping }}{{ 'x' is string and 'y' }}{{ not d.zz is defined }}
{% set loop = 3 %}{{ loop }}{% for i in [1] %}{{ loop.index }}{% endfor %}{{ loop }}
{% for m in people %}{% set ns = namespace(v=m.age) %}{% for t in m.tags or [] %}{% set ns.v = ns.v + 1 %}{% endfor %}{{ ns.v }},{% endfor %}
{% for i in [1,2,3] %}{% if not loop.last %}{{ loop.nextitem }}{% endif %}{{ ',' if not loop.last }}{% endfor %}
{% set f = 'a'.upper %}{{ f() }}{% set g = d.items %}{{ g() | length }}
{{ dict(**{'a': 1}) }}{{ range(*[1, 3]) | list }}{{ 'a'.replace(*['a', 'b']) }}
{{ strftime_now('%Y') | length }}{{ strftime_now('%d %b %Y') | length }}{{ strftime_now('%%') }}{{ strftime_now('plain') }}
""",
    "whitespace": r"""
  {% if true %}  \n  x\n  {% endif %}  \ny
a\n    {% set z = 1 %}\nb{{ z }}\n
a\r\n{% if true %}\r\nb{% endif %}\r\nc\r\n
a\rb\n\n
\n\n{{ 1 }}\n\n
  {{ 1 }}\n  {% set a = 1 %}\n  {# c #}\n  x
  {%+ if true %}\n  x\n  {%+ endif %}\n
x {%- if true -%}\n y \n{%- endif -%} z
{% if true -%}\n\n a\n{%- endif %}\n\n
{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}\n
{% for i in [1, 2] -%}\n  {{ i }}\n{%- endfor %}\n
{% raw %}\n  {{ x }}\n{% endraw %}\nz
 \t{% raw %} a {% endraw %} b
{# a\n b #}\nc\n {#- d -#} \n e
{% if true +%}\n  a\n{% endif +%}\n b
x\n\t {% if 1 %}a\n\t {% endif %}\n\tb
{{ '\n' }}{{ "a\n" }}\n
\u00a0{% if true %}\u00a0\na{% endif %}
{%- set a = 1 -%}\n\n  {{- a -}}\n\n
{{ {'a': {'b': 1}}['a'] }}{{ {'a': {}} }}
""",
    "json": r"""
{{ schema | tojson }} {{ d | tojson }} {{ list | tojson }} {{ none | tojson }} {{ true | tojson }} {{ s | tojson }} {{ quote | tojson }}
{{ [x, whole, small, large, big, -0.0, 1e22, 0.1] | tojson }} {{ 1e400 | tojson }}
{{ schema | tojson(indent=2) }}
{{ d | tojson(sort_keys=true) }} {{ d | tojson(separators=(',', ':')) }} {{ [] | tojson(indent=2) }} {{ {} | tojson }} {{ {'a': []} | tojson(indent=4) }}
{{ schema | tojson(ensure_ascii=true) }} {{ 'é\x7f\x01\u2028' | tojson }} {{ '</script>&' | tojson }} {{ '\b\f\n\r\t\\"/' | tojson }}
{{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ (1, 2) | tojson }} {{ d | tojson(indent='\t') }}
{{ missing | tojson }}
{{ d.items() | tojson }}
{{ d.items() | list | tojson }} {{ 'a' | e | tojson }} {{ html | e | tojson }}
{{ {'a': 1} | tojson(indent=0) }} {{ [1, [2]] | tojson(indent=1, separators=(',', ':')) }}
""",
    "markup": r"""
{{ html | e }} {{ html | escape | e }} {{ html | safe | e }} {{ html | forceescape }} {{ (html | e) is escaped }}
{{ (html | e) + '<' }} {{ '<' + (html | e) }} {{ (html | e) ~ '<' }} {{ ('<' | e) * 2 }} {{ ('%s' | safe) % '<' }} {{ ('%d' | safe) % 3 }}
{{ ['<', '>' | e] | join('&') }} {{ ('&' | safe).join(['<', '>' | safe]) }} {{ ('a<b' | safe).replace('a', '<') }} {{ '{}' | safe | string }} {{ ('{}' | safe).format('<') }}
{{ ('a b' | safe).split() }} {{ [html | e] }} {{ ('A' | safe).lower() + '<' }} {{ ('A' | e).upper() ~ '<' }} {{ ('a' | e) == 'a' }} {{ ('a' | e) in {'a': 1} }}
{{ none | e }} {{ 5 | e }} {{ [1, '<'] | e }} {{ missing | e }}| {{ '<b>x</b> &amp; <!-- c -->y' | striptags }}
""",
    "iterators": r"""
{{ ((5 | items) is string) }} {{ (5 | unique) is string }} {{ 'ab' | e | list }} {{ ('ab' | safe) | first is escaped }} {{ ['a', 'b'] | select('string') | reverse | list }}
{{ ('b' | map('upper')) | reverse }} {{ [1, 2, 3] | batch(2.0) | list }} {{ list | slice(2) | map('length') | list }}
{{ 5 | items | list }}
{{ 5 | unique | list }}
{{ list | sort(none) }}
{{ 'a b' | splitlines }}
{{ 'a'.splitlines('x') }}
{{ d[:2] }}
{{ n[1:] }}
{{ 3.0 | truncate }}
{{ [1] | truncate }} {{ 'x' | int('d', 'b') }} {{ 2.7 | int(0, 'q') }} {{ 'abc' % [1] }} {{ people | map(attribute='age') | unique | list }}
{{ [(1, 2)] | urlencode }} {{ ['ab'] | urlencode }} {{ missing | urlencode }}|
{{ ['abc'] | urlencode }}
""",
    "filters": r"""
{{ s | trim }}| {{ 'xxaxx' | trim('x') }} {{ none | trim }} {{ 5 | trim }} {{ missing | trim }}| {{ s | trim | length }}
{{ 'hello world' | capitalize }} {{ 'hello big-world (x) a_b' | title }} {{ 'ABC' | lower }} {{ 'abc' | upper }} {{ 'a b' | center(7) }}| {{ 'élan vital' | capitalize }}
{{ 'a\nb\n\nc' | indent }} {{ 'a\nb' | indent(2, true) }} {{ 'a\n\nb' | indent(2, blank=true) }} {{ 'a\nb' | indent('> ') }} {{ 'a\nb\n' | indent(2) }}| {{ '' | indent }}|
{{ 'a b c' | replace(' ', '') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 5 | replace(5, 6) }} {{ none | replace('o', '0') }}
{{ 'foo bar baz qux' | truncate(9) }} {{ 'foo bar baz qux' | truncate(11) }} {{ 'foo bar baz qux' | truncate(9, true) }} {{ 'foo bar' | truncate(5, leeway=0, end='…') }} {{ 'short' | truncate(255) }}
{{ 'a b c' | wordcount }} {{ "it's 2 é" | wordcount }} {{ 'a b&c/d é' | urlencode }} {{ {'a': 1, 'b c': 'ü'} | urlencode }} {{ [('x', '/')] | urlencode }}
{{ '%s-%s' | format('a', 1) }} {{ '%(x)s' | format(x=2) }} {{ 'x' | default('y') }} {{ 'ab' | list | join('+') }} {{ -5 | abs }} {{ -2.5 | abs }}
{{ d | attr('items') is callable }} {{ 'abc' | attr('upper') is callable }} {{ d | attr('a') }}|
{{ s | upper | lower | trim | replace('h', 'j') }} {{ words | map('first') | map('upper') | join }} {{ (words | join(' ')) | title }}
{{ people | map(attribute='name') | map('lower') | sort | join(', ') }} {{ people | map('tojson') | list | length }} {{ ['1', '2'] | map('int') | sum }}
{{ '' | first }}| {{ 'é' | upper }} {{ 'a' | int is number }} {{ 'abc'|length > 2 }} {{ 'abc' | length + 1 }} {{ list | length * 2 }}
{{ undefined_thing | default(missing) | default('z') }} {{ (missing | default({})).x }}| {{ (d.zz or {}).get('y', 'none') }} {{ (none or {}) | length }}
{{ x | string | length }} {{ 3.0 | string }} {{ 3.0 | int }} {{ 1e3 | int }} {{ '3.7' | float | int }} {{ 100 | string | list }} {{ true | string | lower }}
{{ [3, 1] | sort | first }} {{ [true, false] | sort }} {{ ['b', 'a'] | sort(reverse=True) | join }} {{ 'hello' | sort | join }} {{ d | sort }} {{ 'aab' | unique | join }}
{{ s | center(20) | tojson }} {{ 'x' | center(4) }}| {{ 'abc' | batch(2) | map('join') | list }} {{ [1,2,3] | slice(5) | list }}
""",
    "sandbox": r"""
{{ ''.__class__ }}|{{ d.__class__ }}|{{ [].__len__ }}|{{ d['__class__'] }}|
{{ ''.__class__.__mro__ }}
{{ constructor }}|{{ d.constructor }}|{{ 'a'.constructor }}|{{ [].prototype }}|{{ toString }}|{{ d.__proto__ }}|{{ d['toString'] }}|{{ list.length }}|{{ 'abc'.length }}|
{{ hasOwnProperty('a') }}
{{ d.hasOwnProperty('a') }}
{{ 'a' | constructor }}
{{ 'a' is constructor }}
{{ range(100001) }}
{{ '{0.__class__}'.format(1) }}|
{{ f.__globals__ }}
{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}
""",
}


def tidy(template, group):
    return template.encode("latin-1", "backslashreplace").decode("unicode-escape") if group == "whitespace" else template


def main():
    cases = []
    for group, text in GROUPS.items():
        for line in text.strip("\n").split("\n"):
            template = tidy(line, group)
            try:
                result = _compile_jinja_template(template).render(**VARIABLES)
            except RecursionError:
                result = None
            except Exception:
                result = None
            cases.append([group, template, result])
    OUT.write_text(json.dumps({"variables": VARIABLES, "cases": cases}, ensure_ascii=False, indent=1) + "\n")
    print(f"{len(cases)} templates, {sum(result is None for _, _, result in cases)} refused")


if __name__ == "__main__":
    main()
