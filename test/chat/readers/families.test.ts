/** Mistral, OLMo, Gemma, Granite: from a template's text to calls, forced and free; what cannot be read stays text. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summary } from '../events.ts'
import { compare, type Family, READERS, TOOLS } from './answers.ts'

const ls = 'call shell: {"command": "ls"}'
const pwd = 'call shell: {"command": "pwd"}'

test("Mistral's list of calls", () => {
  const call = (command: string, id = ', "id": "a1B2c3D4e"') => `{"name": "shell", "arguments": {"command": "${command}"}${id}}`
  for (const family of ['mistral', 'mistralNamed', 'devstral'] as const)
    compare(family, [
      [`[TOOL_CALLS][${call('ls')}]</s>`, [ls]],
      [`[TOOL_CALLS] [${call('ls')}, ${call('pwd')}]</s>`, [ls, pwd]],
      [`[TOOL_CALLS][${call('ls', '')}]</s>`, [ls]],
      [`[TOOL_CALLS]${call('ls')}</s>`, [ls]],
      [`[TOOL_CALLS][${call('ls')}][TOOL_CALLS][${call('pwd')}]</s>`, [ls, pwd]],
      [`I look.[TOOL_CALLS][${call('ls')}]</s>`, ['text: I look.', ls]],
      [`[TOOL_CALLS][${call('ls')}]\n\nThat is it.</s>`, [ls, 'text: That is it.']],
      [`[TOOL_CALLS][${call('ls')}</s>`, [ls, '! repaired-tool-call']],
      [`[TOOL_CALLS]I am sorry.</s>`, ['! malformed-tool-call', 'text: I am sorry.']],
      [`[TOOL_CALLS][{"name": "moon", "arguments": {}}]</s>`, ['! unknown-tool', 'call moon: {}']],
      [`[TOOL_CALLS][{"name": "shell", "arguments": {"comm`, ['call shell: {"comm', '! unfinished-tool-call']],
    ])
})

test("Mistral's calls by name", () => {
  const args = '{"command": "ls"}'
  compare('mistralNamed', [
    [`[TOOL_CALLS]shell[CALL_ID]a1B2c3D4e[ARGS]${args}</s>`, [ls]],
    [`[TOOL_CALLS]shell[ARGS]${args}</s>`, [ls]],
    [`[TOOL_CALLS]shell[CALL_ID]a1B2c3D4e[ARGS]${args}[TOOL_CALLS]now[CALL_ID]a1B2c3D4f[ARGS]{}</s>`, [ls, 'call now: {}']],
    [`[TOOL_CALLS]shell${args}</s>`, [ls]],
    [`[TOOL_CALLS]shell[ARGS]${args} and so on</s>`, [ls, 'text: and so on']],
    ['[TOOL_CALLS]shell[ARGS]no</s>', ['! malformed-tool-call', 'text: shell[ARGS]no']],
    ['[TOOL_CALLS]shell</s>', ['! malformed-tool-call', 'text: shell']],
    ["[TOOL_CALLS]shell[ARGS]{'command': 'ls'}</s>", [ls, '! repaired-tool-call']],
    ['[TOOL_CALLS]web-search.v2[ARGS]{}</s>', ['! unknown-tool', 'call web-search.v2: {}']],
  ])
  compare('devstral', [[`Well.[TOOL_CALLS]shell[ARGS]${args}</s>`, ['text: Well.', ls]]])
})

test('calls as Python', () => {
  const wrapped: [Family, (text: string) => string][] = [
    ['olmo', (text) => `<function_calls>${text}</function_calls>`],
    ['gemma', (text) => `\`\`\`tool_code\n${text}\n\`\`\``],
  ]
  for (const [family, block] of wrapped)
    compare(family, [
      [block('shell(command="ls")'), [ls]],
      [block("shell(command='ls')\nshell(command='pwd')"), [ls, pwd]],
      [block('[shell(command="ls"), shell(command="pwd")]'), [ls, pwd]],
      [block('now()'), ['call now: {}']],
      [block('shell("ls")'), [ls]],
      [
        block("f(a=\"it's\", n=12345678901234567890, o={'x': None}, b=True, l=[1.0, ],)"),
        ['call f: {"a": "it\'s", "n": 12345678901234567890, "o": {"x": null}, "b": true, "l": [1.0 ]}'],
      ],
      [block('{"name": "shell", "arguments": {"command": "ls"}}'), [ls]],
      [block('[{"name": "shell", "parameters": {"command": "ls"}}]'), [ls]],
      [`Let me look.\n${block('shell(command="ls")')}\nDone.`, ['text: Let me look.', ls, 'text: Done.']],
    ])
  compare('olmo', [
    ['<function_calls>import os</function_calls>', ['! malformed-tool-call', 'text: import os']],
    ['<function_calls>moon(a=1)</function_calls>', ['! malformed-tool-call', 'text: moon(a=1)']],
    ['<function_calls>shell(command=ls())</function_calls>', ['! malformed-tool-call', 'text: shell(command=ls())']],
    ['<function_calls>shell(command="ls"', ['! malformed-tool-call', 'text: shell(command="ls"']],
  ])
  compare('gemma', [
    ['```tool_code\nprint(1)\n```\nx', ['! malformed-tool-call', 'text: ```tool_code\nprint(1)\n```', 'text: x']],
    ['```python\nshell(command="ls")\n```', ['text: ```python\nshell(command="ls")\n```']],
    ['A ```tool_code block', ['text: A ```tool_code block']],
  ])
})

test("Gemma's calls with braces, and Granite's list", () => {
  compare('functionGemma', [
    ['<start_function_call>call:shell{command:<escape>ls<escape>}<end_function_call>', [ls.replace(': "', ':"')]],
    [
      '<start_function_call>call:f{a:<escape>say "hi"\n<escape>,n:3,b:true,l:[<escape>x<escape>]}<end_function_call>',
      ['call f: {"a":"say \\"hi\\"\\n","n":3,"b":true,"l":["x"]}'],
    ],
    ['<start_function_call>call:now{}<end_function_call>', ['call now: {}']],
    [
      '<start_function_call>call:now{}<end_function_call><start_function_call>call:now{}<end_function_call>',
      ['call now: {}', 'call now: {}'],
    ],
    ['<start_function_call>now<end_function_call>', ['! malformed-tool-call', 'text: now']],
  ])
  compare('gemma4', [
    ['<|tool_call>call:shell{command:<|"|>ls<|"|>}<tool_call|>', [ls.replace(': "', ':"')]],
    ['<|tool_call>call:f{o:{x:<|"|>y<|"|>}}<tool_call|>', ['call f: {"o":{"x":"y"}}']],
  ])
  compare('granite', [
    ['<|tool_call|>[{"name": "shell", "arguments": {"command": "ls"}}, {"name": "now", "arguments": {}}]</s>', [ls, 'call now: {}']],
  ])
})

test('forced calls, and regions, in every family', () => {
  for (const [family, { tokenizer, format }] of Object.entries(READERS)) {
    assert.equal(format.capabilities.tools, true, family)
    const parser = format.parser([], { tools: TOOLS })
    const all = parser.force.toolCall('shell').flatMap((id) => parser.push(id))
    assert.equal(parser.region, 'tool-call', family)
    all.push(...tokenizer.encode('{"command": "ls"}').flatMap((id) => parser.push(id)))
    assert.notEqual(parser.region, 'tool-call', family)
    all.push(...parser.force.endToolCall().flatMap((id) => parser.push(id)))
    if (format.capabilities.parallelToolCalls) {
      all.push(...parser.force.toolCall('now').flatMap((id) => parser.push(id)))
      assert.equal(parser.region, 'tool-call', family)
      all.push(...[...tokenizer.encode('{}'), ...parser.force.endToolCall()].flatMap((id) => parser.push(id)))
    }
    all.push(...parser.end())
    assert.deepEqual(summary(all), [ls, ...(format.capabilities.parallelToolCalls ? ['call now: {}'] : [])], family)
  }
})
