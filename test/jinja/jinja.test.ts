/**
 * Chat templates against Jinja2 with the settings of transformers: one-line templates of each kind (test/fixtures/jinja.json, made by
 * scripts/oracles/jinja.py), and templates that try to harm whoever runs them.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Dict, fromJson, Template } from '../../src/jinja/template.ts'
import { readJson } from '../../src/json/lossless.ts'

interface Fixtures {
  variables: object
  /** The result is null where Jinja2 refuses. */
  cases: [kind: string, template: string, result: string | null][]
}

const file = new URL('../fixtures/jinja.json', import.meta.url)
const { variables, cases } = readJson(readFileSync(file, 'utf8')) as Fixtures
const render = (template: string, given: object = {}, steps?: number) => new Template(template).render(fromJson(given) as Dict, { steps })

const kinds = [...new Set(cases.map(([kind]) => kind))]
for (const kind of kinds) {
  const own = cases.filter(([each]) => each === kind)
  test(`${kind}: ${own.length} templates`, async (t) => {
    for (const [, template, result] of own)
      await t.test(template, () => {
        if (result === null) assert.throws(() => render(template, variables), { name: 'TemplateError' })
        else assert.equal(render(template, variables), result)
      })
  })
}

test('numbers and keys of JSON keep what they say', () => {
  const text = '{"b": 1.0, "10": 12345678901234567890, "2": [1e5, -0.0, 1E400, 5e-7], "x": {"9": null, "1": 2}}'
  const expected = '{"b": 1.0, "10": 12345678901234567890, "2": [100000.0, -0.0, Infinity, 5e-07], "x": {"9": null, "1": 2}}'
  assert.equal(render('{{ v | tojson }}', { v: readJson(text) }), expected)
})

test('stand-ins count as the characters that they stand for, and stay where they were', () => {
  const marks = new Map([
    ['\ufdd0', '<'],
    ['\ufdd1', '\n'],
    ['\ufdd2', '"'],
    ['\u{1ffff}', '😀'],
  ])
  const variables = new Dict([['t', 'a\ufdd0/think>b\ufdd1\ufdd2\u{1ffff}']])
  const cases: [template: string, result: string][] = [
    ['{{ t }}', 'a\ufdd0/think>b\ufdd1\ufdd2\u{1ffff}'],
    ["{{ t.split('</think>')[1] }}", 'b\ufdd1\ufdd2\u{1ffff}'],
    ["{{ '</think>' in t }}{{ t.find('<') }}{{ t[1] == '<' }}{{ t[1] }}", 'True1True\ufdd0'],
    ["{{ t.startswith('a<') }}{{ t.count('<') }}{{ t | length }}", 'True113'],
    ['{{ t[:10] | trim }}|{{ t[9:11].strip() }}|{{ t.splitlines()[0] }}', 'a\ufdd0/think>b|b|a\ufdd0/think>b'],
    ["{{ t.replace('<', '[') }}", 'a[/think>b\ufdd1\ufdd2\u{1ffff}'],
    ["{{ t.partition('</')[1] }}{{ {'a<': 1}[t[:2]] }}{{ t[-1] == '😀' }}", '\ufdd0/1True'],
    ['{{ t | tojson }}', '"a\ufdd0/think>b\\n\\"\u{1ffff}"'],
    ['{{ [t[:2]] }}', "['a\ufdd0']"],
    ["{{ t.lstrip('a<') }}", '/think>b\ufdd1\ufdd2\u{1ffff}'],
    ["{{ 'x' < t }}{{ t == 'a</think>b\n\"😀' }}", 'FalseTrue'],
  ]
  for (const [template, result] of cases) assert.equal(new Template(template).render(variables, { marks }), result, template)
})

test('the date is the one that is given', () => {
  const now = new Date(2024, 1, 3, 15, 4, 5)
  const template = new Template("{{ strftime_now('%d %b %Y|%-d %-m|%A %B|%p %I:%M:%S|%j|%y%m%d|%F %T|%U %W %V|%e|%%|%q') }}")
  assert.equal(
    template.render(new Dict(), { now }),
    '03 Feb 2024|3 2|Saturday February|PM 03:04:05|034|240203|2024-02-03 15:04:05|04 05 05| 3|%|%q',
  )
})

test('hostile templates end with an error, soon', () => {
  const cases: [template: string, given?: object][] = [
    ['{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}'],
    ["{{ 'x' * 999999999999 }}"],
    ["{{ ('x' * 60000000) * 60000000 }}"],
    ['{{ [[0] * 9999] * 99999999 }}'],
    ["{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"],
    ['{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}'],
    ['{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}'],
    [
      '{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l + [] }}{{ ns.l | tojson }}',
    ],
    ['{% set ns = namespace(l=[1]) %}{% for i in range(90000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}'],
    ['{{ 9 ** 99999999 }}'],
    ['{% set ns = namespace(n=9) %}{% for i in range(99) %}{% set ns.n = ns.n * ns.n %}{% endfor %}'],
    ['{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}'],
    ["{{ 'x'.center(99999999999) }}"],
    ["{{ '%999999999999s' % 'x' }}"],
    ["{{ '{:999999999999}'.format('x') }}"],
    ["{{ 'a' | indent(99999999999) }}"],
    ['{{ [1] | batch(99999999999, 0) | list }}'],
    ['{{ [1] | slice(99999999999) | list }}'],
    ['{{ [1] | tojson(indent=99999999999) }}'],
    [`${'('.repeat(5000)}1${')'.repeat(5000)}`.replace(/^(.*)$/, '{{ $1 }}')],
    [`{{ ${'-'.repeat(50000)}1 }}`],
    [`{{ ${'not '.repeat(50000)}1 }}`],
    [`{{ ${'['.repeat(50000)} }}`],
    [`{{ 1${' + 1'.repeat(200000)} }}`],
    ['{% if 1 %}'.repeat(20000)],
    ["{{ ''.join.constructor('return 1')() }}"],
    ["{{ ''['constructor']['constructor']('return 1')() }}"],
    ['{{ x.__proto__.polluted }}', { x: {} }],
    ['{{ x.hasOwnProperty("a") }}', { x: {} }],
    ["{{ x | attr('constructor')() }}", { x: {} }],
    ['{{ dict(**x).toString() }}', { x: {} }],
    ['{% set __proto__ = 1 %}{{ toString() }}'],
    ['{{ namespace(__proto__=1) }}'],
    ['{{ loop.constructor("x") }}'],
    ['{{ constructor.constructor("return process")() }}'],
    ["{{ 'x' | tojson(indent=-1).constructor() }}"],
  ]
  for (const [template, given] of cases)
    assert.throws(() => render(template, given, 1_000_000), { name: 'TemplateError' }, template.slice(0, 90))
  assert.throws(() => render('{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}'), { name: 'TemplateError' })
})

test('errors of the syntax name the line', () => {
  const cases: [template: string, message: RegExp][] = [
    ['a\n{% if %}', /^line 2: expected an expression/],
    ['{% for x in y %}', /expected endfor or else/],
    ['{{ 1 +* }}', /unexpected '\*'/],
    ["{{ 'a }}", /unexpected char/],
    ['{% include "x" %}', /'include' is not known/],
    ['{{ x.y. }}', /expected name/],
    ['{# x', /Missing end of comment/],
    ['{{ (1] }}', /unexpected ']'/],
  ]
  for (const [template, message] of cases) assert.throws(() => new Template(template), { name: 'TemplateError', message }, template)
})
