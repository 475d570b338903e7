/** Broken JSON of small models: repaired with a warning where one reading exists, handed out as it is otherwise. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readJson } from '../../../src/chat/formats/tags/lenient-json.ts'
import { compare, events, type Family } from './answers.ts'

const repaired = '! repaired-tool-call'

const REPAIRS: [written: string, read: string][] = [
  ['{"a": "x\ny"}', '{"a": "x\\ny"}'],
  ['{"a": "x\ty\r\nz"}', '{"a": "x\\ty\\r\\nz"}'],
  ["{'a': 'x'}", '{"a": "x"}'],
  ["{'a': 'it's \"so\"', 'n': 1}", '{"a": "it\'s \\"so\\"", "n": 1}'],
  ["{'a': 'don\\'t'}", '{"a": "don\'t"}'],
  ['{"b": True, "l": [None, False]}', '{"b": true, "l": [null, false]}'],
  ['{"a": "x",}', '{"a": "x"}'],
  ['{"l": [1, 2,], }', '{"l": [1, 2] }'],
  ['{a: "x", n: 12345678901234567890}', '{"a": "x", "n": 12345678901234567890}'],
  ['{"a": "\\d+\\.x"}', '{"a": "\\\\d+\\\\.x"}'],
  ['{"l": [1, 2}', '{"l": [1, 2]}'],
  ['{"o": {"x": 1]}}', '{"o": {"x": 1}}'],
]

test('repairs', () => {
  for (const family of ['qwen', 'hermes'] as const)
    compare(
      family,
      REPAIRS.map(([written, read]) => [`<tool_call>{"name": "f", "arguments": ${written}}</tool_call>`, [`call f: ${read}`, repaired]]),
    )
  compare(
    'llama',
    REPAIRS.map(([written, read]) => [`{"name": "f", "parameters": ${written}}</s>`, [`call f: ${read}`, repaired]]),
  )
  compare(
    'mistral',
    REPAIRS.map(([written, read]) => [`[TOOL_CALLS][{"name": "f", "arguments": ${written}}]</s>`, [`call f: ${read}`, repaired]]),
  )
})

test('repairs of what is around the arguments', () => {
  compare('qwen', [
    ["<tool_call>{'name': 'f', 'arguments': {'a': 'x'}}</tool_call>", ['call f: {"a": "x"}', repaired]],
    ['<tool_call>{name: "f", arguments: {"a": "x"}}</tool_call>', ['call f: {"a": "x"}']],
    ['<tool_call>{"name": "f", "arguments": {"a": "x"}]}</tool_call>', ['call f: {"a": "x"}', repaired]],
    ['<tool_call>{"name": "f", "arguments": {"a": "x"}}]</tool_call>', ['call f: {"a": "x"}', repaired]],
    ['<tool_call>[{"name": "f", "arguments": {"a": "x"}}</tool_call>', ['call f: {"a": "x"}', repaired]],
    ['<tool_call>{"name": "f", "arguments": {"a": "x"\n</tool_call>', ['call f: {"a": "x"\n}', repaired]],
    ['<tool_call>{"name": "f", "arguments": {"a": "x"}}}</tool_call>', ['call f: {"a": "x"}', repaired]],
    ['<tool_call>{"name": "f", "arguments": {"a": "x"}</tool_call>', ['call f: {"a": "x"}', repaired]],
    ['<tool_call>\n```json\n{"name": "f", "arguments": {"a": "x"}}\n```\n</tool_call>', [repaired, 'call f: {"a": "x"}']],
    [`<tool_call>{"name": "f", "arguments": '{"a": "x"}'}</tool_call>`, ['call f: {"a": "x"}', repaired]],
    ['<tool_call>{"name": "f", "arguments": ""}</tool_call>', ['call f: {}']],
    ['<tool_call>{"name": "f", "arguments": null}</tool_call>', ['call f: {}']],
    ['<tool_call>{"name": "f", "arguments": {}}</tool_call>', ['call f: {}']],
    ['<tool_call>{"name": "f"}</tool_call>', ['call f: {}']],
    ['<tool_call>{"name": "f", "arguments": "{\\"n\\": 1.0}"}</tool_call>', ['call f: {"n": 1.0}']],
    ['<tool_call>{"arguments": {"n": 1.0, "2": 1e3, "1": 0}, "name": "f"}</tool_call>', ['call f: {"n": 1.0, "2": 1e3, "1": 0}']],
  ])
})

test('what has no single reading is handed out as it is', () => {
  const unread: [string, string[]][] = [
    '{"a": }',
    "{'a': 'x', 'y'}",
    '{"a": x y}',
    '{"a": "say "hi" now"}',
    '{"a" 1}',
    '{"a": 01}',
    '{"a": {"b" = 1}}',
    '{"a": NaN}',
  ].map((args) => [`<tool_call>{"name": "f", "arguments": ${args}}</tool_call>`, [`call f: ${args}`, '! arguments-not-json']])
  compare('qwen', unread)
  compare('qwen', [
    ['<tool_call>{"name": "f", "arguments": {"a": "x', ['call f: {"a": "x', '! unfinished-tool-call']],
    ["<tool_call>{'name': 'f', 'arguments': {'a': 'x", ["call f: {'a': 'x", '! unfinished-tool-call']],
    ['<tool_call>{"name": "f", "arguments": {"a": "x\ny', ['call f: {"a": "x\ny', '! unfinished-tool-call']],
  ])
})

test('valid JSON is not touched and not taken back', () => {
  const args = '{"a": "\\u00e9\\n\\/ü💖", "n": [1.0, -0, 1E+2, 12345678901234567890], "o": {"10": 1, "2": [], "x": {}}, "b": true}'
  const answers: [Family, string][] = [
    ['qwen', `<tool_call>{"name": "f", "arguments": ${args}}</tool_call>`],
    ['llama', `{"name": "f", "parameters": ${args}}</s>`],
    ['mistral', `[TOOL_CALLS][{"name": "f", "arguments": ${args}, "id": "a1B2c3D4e"}]</s>`],
    ['mistralNamed', `[TOOL_CALLS]f[CALL_ID]a1B2c3D4e[ARGS]${args}</s>`],
  ]
  for (const [family, answer] of answers) {
    compare(family, [[answer, [`call f: ${args}`]]])
    assert.ok(events(family, answer).filter((event) => event.type === 'tool-call-delta').length > 50, family)
  }
  assert.deepEqual(readJson(args), { json: args, end: args.length, isRepaired: false })
  assert.equal(readJson('['.repeat(100_000)), undefined)
})
