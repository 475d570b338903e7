/** Qwen3-Coder's calls: tags inside values, tags that were left out or broken, several functions, values by their declared types. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, type Row } from './answers.ts'

const parameter = (name: string, value: string) => `<parameter=${name}>\n${value}\n</parameter>\n`
const call = (name: string, ...parameters: string[]) => `<tool_call>\n<function=${name}>\n${parameters.join('')}</function>\n</tool_call>`
const repaired = '! repaired-tool-call'

test('text inside a parameter that looks like a tag', () => {
  const contents = [
    'use <parameter=foo> to pass',
    '<parameter=name>v</parameter>',
    'block ends with </tool_call> on its own',
    'block ends with ‹</tool_call>› on its own',
    'a </parameter> in the middle',
    'a ‹<tool_call>› and a <tool_call>\n<think>no</think>',
    '<parameter=name>\nv\n</parameter>\n<parameter=other>\nw\n</parameter>',
    '<tool_call>\n<function=x>\n<parameter=y>\n1\n</parameter>\n<parameter=z>\n2\n</parameter>\n</function>\n</tool_call>\n\nThat was it.',
    '<parameter=content>\nnested\n</parameter>',
    '<parameter=path> is how it begins',
    'see </function> and\n</function>\n</tool_call>\nfor the end',
    'if a < b && c > d {\n  return "<parameter"\n}\n',
    '  indented\n\tmore\n',
    '',
  ]
  for (const content of contents) {
    const expected = [
      `call write: ${JSON.stringify({ path: 'a.md', content: content.replace(/[‹›]/g, '') })
        .replace('":"', '": "')
        .replace('","', '", "')
        .replace('content":"', 'content": "')}`,
    ]
    compare('coder', [
      [`${call('write', parameter('path', 'a.md'), parameter('content', content))}</s>`.replace('</s>', '<|im_end|>'), expected],
      // With a parameter after it, too.
      [
        call('write', parameter('path', 'a.md'), parameter('content', content), parameter('mode', 'w')),
        [expected[0]!.replace(/\}$/, ', "mode": "w"}')],
      ],
    ])
  }
})

test('tags that are missing or broken', () => {
  const ls = 'call shell: {"command": "ls"}'
  compare('coder', [
    ['Let me.\n<function=shell>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>', ['text: Let me.', ls]],
    ['<function=shell>\n<parameter=command>\nls\n</parameter>\n</function><|im_end|>', [ls]],
    ['<function=shell>\n<parameter=command>\nls\n</parameter>\n</function>\nDone.', [ls, 'text: Done.']],
    ['Use <function=shell> for that.', ['text: Use <function=shell> for that.']],
    ['<function=unknown>\n<parameter=command>\nls', ['text: <function=unknown>\n<parameter=command>\nls']],
    ['<tool_call>\n<function=shell\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>', [ls, repaired]],
    ['<tool_call>\n<function=shell>\n<parameter=command\nls\n</parameter>\n</function>\n</tool_call>', [ls, repaired]],
    ['<tool_call>\n<function=shell>\n<parameter=command>\nls\n</function>\n</tool_call>', [ls, repaired]],
    ['<tool_call>\n<function=shell>\n<parameter=command>\nls\n</parameter>\n</tool_call>', [ls, repaired]],
    ['<tool_call>\n<function=shell>\n<parameter=command>\nls\n</tool_call>', [ls, repaired]],
    ['<tool_call>\n<function=shell>\n<parameter=command>\nls</parameter></function></tool_call>', [ls]],
    ['<tool_call><function=shell><parameter=command>ls</parameter></function></tool_call>', [ls]],
    ['<tool_call>\n<function=shell>\n<parameter=command>\nls\n</parameter>\n</function>\n', [ls]],
    ['<tool_call>\n<function=shell>\n<parameter=command>\nls', [ls, '! unfinished-tool-call']],
    [
      '<tool_call>\n<function=write>\n<parameter=path>\na\n<parameter=content>\nb\n</parameter>\n</function>\n</tool_call>',
      ['call write: {"path": "a", "content": "b"}', repaired],
    ],
    [
      '<tool_call>\n<function=shell>\nlist:\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>',
      [ls, '! malformed-tool-call', 'text: list:'],
    ],
    ['<tool_call>\n<function="shell">\n<parameter="command">\nls\n</parameter>\n</function>\n</tool_call>', [ls]],
    ['<tool_call>\n<function=now>\n</function>\n</tool_call>', ['call now: {}']],
    ['<tool_call>\n{"name": "shell", "arguments": {"command": "ls"}}\n</tool_call>', [ls]],
    ['<tool_call>\nls\n</tool_call>', ['! malformed-tool-call', 'text: ls']],
  ])
})

test('several functions', () => {
  const calls = ['call shell: {"command": "ls"}', 'call now: {}', 'call shell: {"command": "pwd"}']
  const shell = (command: string) => `<function=shell>\n${parameter('command', command)}</function>`
  const now = '<function=now>\n</function>'
  compare('coder', [
    [`<tool_call>\n${shell('ls')}\n${now}\n${shell('pwd')}\n</tool_call>`, calls],
    [`<tool_call>\n${shell('ls')}\n</tool_call>\n<tool_call>\n${now}\n</tool_call>\n<tool_call>\n${shell('pwd')}\n</tool_call>`, calls],
    [`${shell('ls')}\n${now}\n${shell('pwd')}`, calls],
    [`${shell('ls')}\n</tool_call>\n${now}\n</tool_call>\n<tool_call>\n${shell('pwd')}\n</tool_call>`, calls],
    [`<tool_call>\n${shell('ls')}${now}${shell('pwd')}</tool_call>`, calls],
    [`<tool_call>\n${shell('ls')}\nand\n${shell('pwd')}\n</tool_call>`, [calls[0]!, '! malformed-tool-call', 'text: and', calls[2]!]],
  ])
})

test('values by their declared types', () => {
  const nullable = { anyOf: [{ type: 'integer' }, { type: 'null' }] }
  const rows: [schema: object, text: string, json: string, warning?: string][] = [
    [nullable, '5', '5'],
    [nullable, 'null', 'null'],
    [nullable, 'None', 'null'],
    [{ type: ['integer', 'null'] }, '5', '5'],
    [{ type: ['string', 'null'] }, '5', '"5"'],
    [{ type: ['string', 'null'] }, 'null', 'null'],
    [{ type: 'string' }, 'null', '"null"'],
    [{ type: 'string' }, 'True', '"True"'],
    [{ type: 'string' }, '{"a": 1}', '"{\\"a\\": 1}"'],
    [{ enum: ['a', 'null'] }, 'null', '"null"'],
    [{ enum: [1, 2] }, '2', '2'],
    [{ const: 3 }, '3', '3'],
    [{ type: 'integer' }, '12345678901234567890', '12345678901234567890'],
    [{ type: 'number' }, '1.0', '1.0'],
    [{ type: 'number' }, '1e400', '1e400'],
    [{ type: 'integer' }, 'many', '"many"', '! malformed-tool-call'],
    [{ type: 'integer' }, '0x10', '"0x10"', '! malformed-tool-call'],
    [{ type: 'boolean' }, 'True', 'true'],
    [{ type: 'boolean' }, 'FALSE', 'false'],
    [{ type: 'boolean' }, 'yes', '"yes"', '! malformed-tool-call'],
    [{ type: 'object' }, '{"b": 1.0, "10": 2, "2": [true, null]}', '{"b": 1.0, "10": 2, "2": [true, null]}'],
    [{ type: 'object' }, "{'a': True, 'b': None}", '{"a": true, "b": null}'],
    [{ type: 'array' }, "['x', 1,]", '["x", 1]'],
    [{ oneOf: [{ type: 'array' }, { type: 'boolean' }] }, '[1]', '[1]'],
    [{ type: 'object' }, '{', '"{"', '! malformed-tool-call'],
    [{ $ref: '#/$defs/Count' }, '7', '7'],
    [{ allOf: [{ $ref: '#/$defs/Count' }] }, '7', '7'],
    [{ type: 'string', nullable: true }, 'null', 'null'],
    [{}, 'null', 'null'],
    [{}, '5', '"5"'],
  ]
  for (const [schema, text, json, warning] of rows) {
    const tools = [{ name: 'g', parameters: { type: 'object', properties: { x: schema }, $defs: { Count: { type: 'integer' } } } }]
    const row: Row = [call('g', parameter('x', text)), [`call g: {"x": ${json}}`, ...(warning ? [warning] : [])], tools]
    compare('coder', [row])
  }
  assert.ok(rows.length > 25)
})
