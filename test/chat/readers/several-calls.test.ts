/** Several calls in one answer, and answers in JSON that are no calls: none is lost, none is invented. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, events, READERS, TOOLS } from './answers.ts'

const ls = '{"name": "shell", "arguments": {"command": "ls"}}'
const pwd = '{"name": "shell", "arguments": {"command": "pwd"}}'
const calls = ['call shell: {"command": "ls"}', 'call shell: {"command": "pwd"}']

test('several calls of Llama, and text after them', () => {
  const [one, two] = [ls, pwd].map((call) => call.replace('arguments', 'parameters'))
  compare('llama', [
    [`${one}; ${two}</s>`, calls],
    [`${one}\n${two}</s>`, calls],
    [`${one};${two}`, calls],
    [`${one}, ${two}</s>`, calls],
    [`${one}${two}</s>`, calls],
    [`[${one}, ${two}]</s>`, calls],
    [`<|python_tag|>${one}; ${two}</s>`, calls],
    [`${one}\nThat lists the files.</s>`, [calls[0]!, 'text: That lists the files.']],
    [`${one}; {"answer": 42}</s>`, [calls[0]!, 'text: ; {"answer": 42}']],
    [`${one}\n\n${two}\n\nDone.\n</s>`, [...calls, 'text: Done.\n']],
    ['{"type": "function", "name": "now", "parameters": {}}</s>', ['call now: {}']],
    ['{"name": "shell", "arguments": {"command": "ls"}}</s>', [calls[0]!]],
    ['{"parameters": {"command": "ls"}, "name": "shell"}</s>', [calls[0]!]],
    ['{"type": "function", "function": {"name": "shell", "parameters": {"command": "ls"}}}</s>', [calls[0]!]],
    ['<|python_tag|>shell.call(command="ls")</s>', [calls[0]!]],
  ])
})

test('JSON answers of Llama that are no calls stay text', () => {
  const texts = [
    '{"name": "Alice", "age": 5, "city": "Bern"}',
    '{"name": "Alice", "parameters": {"age": 5}}',
    '{"name": "shell", "age": 5}',
    '{"name": "shell"}',
    '{"name": "shell", "type": "bash", "parameters": {}}',
    '{"parameters": {"a": 1}}',
    '{"parameters": {"a": 1}, "name": "Alice"}',
    '{"type": "object", "name": "shell"}',
    '[1, 2, 3]',
    '[{"name": "Alice"}, {"name": "Bob"}]',
    '{}',
    '[]',
    '{',
    '{"name": "sh',
    '{"names": ["shell"]}',
    '  {"a": 1}\n\nDone.\n',
    'Here: {"name": "shell", "parameters": {}}',
  ]
  compare(
    'llama',
    texts.map((text) => [`${text}</s>`, [`text: ${text}`]]),
  )
  // Text is held back only while it may be a call.
  const parser = READERS.llama.format.parser([], { tools: TOOLS })
  const push = (text: string) => READERS.llama.tokenizer.encode(text).flatMap((id) => parser.push(id))
  assert.deepEqual(push('{"name": "s'), [])
  assert.equal(push('am"').length, 2 + 2)
})

test('several calls of Qwen3 in one block', () => {
  for (const family of ['qwen', 'hermes'] as const) {
    const block = (text: string) => `<tool_call>\n${text}\n</tool_call>`
    compare(family, [
      [block(`${ls}\n${pwd}`), calls],
      [block(`[${ls},${pwd}]`), calls],
      [block(`[${ls}]\n[${pwd}]`), calls],
      [block(`${ls}, ${pwd}`), calls],
      [block(`${ls};\n${pwd}`), calls],
      [`${block(ls)}\n${block(pwd)}`, calls],
      [block(`[\n  ${ls},\n  ${pwd}\n]`), calls],
      [block(`${ls}\nand then\n`), [calls[0]!, '! malformed-tool-call', 'text: and then']],
      [block(`${ls}\n{"query": "x"}`), [calls[0]!, '! malformed-tool-call', 'text: {"query": "x"}']],
      [`Let me see.\n${block(ls)}\n\nDone.`, ['text: Let me see.', calls[0]!, 'text: Done.']],
    ])
  }
  const twice = events('qwen', `<tool_call>${ls}${ls}</tool_call>`).filter((event) => event.type === 'tool-call-start')
  assert.notEqual(twice[0]!.id, twice[1]!.id)
})

test('a tag inside a string of arguments is text', () => {
  const call = (text: string) => `<tool_call>\n{"name": "write", "arguments": {"path": "a", "content": "${text}"}}\n</tool_call>`
  const rows = [
    'ends with </tool_call> here',
    '<tool_call>',
    '<think>x</think>',
    '\\"</tool_call>\\"',
    '‹</tool_call>›',
    '<tool_response>',
  ].map((text): [string, string[]] => [call(text), [`call write: {"path": "a", "content": "${text.replace(/[‹›]/g, '')}"}`]])
  compare('qwen', rows)
  compare('hermes', rows)
})

test('answers stream: markers are held back, nothing else is', () => {
  for (const [family, text, held] of [
    ['hermes', 'a <tool', ''],
    ['hermes', 'a\n<tool', '\n<tool'],
    ['hermes', 'a\n<tool_x', ''],
    ['gemma', 'a\n```', '\n```'],
    ['gemma', 'a\n```python', ''],
    ['coder', 'a\n<function=sh', '\n<function=sh'],
    ['coder', 'a\n<function=x', ''],
    ['coder', 'a <function=sh', ''],
  ] as const) {
    const { tokenizer, format } = READERS[family]
    const parser = format.parser([], { tools: TOOLS })
    const out = (all: ReturnType<typeof parser.push>) => all.map((event) => (event.type === 'text-delta' ? event.delta : '')).join('')
    assert.equal(out(tokenizer.encode(text).flatMap((id) => parser.push(id))), text.slice(0, text.length - held.length), text)
    assert.equal(out(parser.end()), held, text)
  }
})
