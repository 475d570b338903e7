/**
 * Templates in the hands of Lineage, kind by kind: which template and which variables, what a family's built-in writer may do, and
 * conversations that a template refuses. What templates mean is tested in test/jinja.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { formatFor } from '../../src/chat/formats/format.ts'
import { formatFiles } from '../../src/chat/formats/format-files.ts'
import type { ChatFormat, Message, RenderOptions } from '../../src/chat/messages.ts'
import { byteTokenizer, harmonySpecials, qwenSpecials } from './byte-tokenizer.ts'

const chatml = byteTokenizer(['<s>', '</s>', ...qwenSpecials])
const llama = byteTokenizer(['<s>', '</s>', '<|eot_id|>', '[INST]', '[/INST]'])
const hi: Message = { role: 'user', content: 'hi' }
const ask: RenderOptions = { tools: [{ name: 'f', parameters: { type: 'object', properties: {} } }] }

function prompt(format: ChatFormat, messages: Message[], options: RenderOptions = {}, tokenizer = chatml): string {
  return tokenizer.decode(format.render(messages, options))
}
const templated = (chatTemplate: string, tokenizer = chatml) =>
  formatFor({ tokenizer, chatTemplate, bosToken: '<s>', eosToken: '</s>' }, 'template')
const called = (name: string, args: string): Message => ({
  role: 'assistant',
  content: [{ type: 'tool-call', id: 'a', name, arguments: args }],
})

test('variables are those of transformers', () => {
  const calling = '<tool_call>{# tools #}'
  const cases: [template: string, messages: Message[], options: RenderOptions, expected: string][] = [
    ['{% if tools is not none %}T{% endif %}{% if documents is not none %}D{% endif %}x', [hi], {}, 'x'],
    ['{{ tools is defined }}{{ tools }}{{ documents }}', [hi], {}, 'TrueNoneNone'],
    [`${calling}{{ tools | length }}{{ tools is none }}`, [hi], ask, '<tool_call>1False'],
    ['{{ tools | default("d") }}{{ tools | default("d", true) }}', [hi], {}, 'Noned'],
    ['{{ add_generation_prompt }}{{ bos_token }}{{ eos_token }}', [hi], {}, 'True<s></s>'],
    ['{{ enable_thinking is defined }}{{ reasoning_effort is defined }}', [hi], {}, 'FalseFalse'],
    ['{{ enable_thinking }}{{ reasoning_effort }}', [hi], { thinking: 'high' }, 'Truehigh'],
    ['{{ enable_thinking }}', [hi], { thinking: false }, 'False'],
    ['{{ messages }}', [hi], {}, "[{'role': 'user', 'content': 'hi'}]"],
    ['{{ messages[0].name is defined }}{{ messages[0].tool_calls is defined }}', [hi], {}, 'FalseFalse'],
    ["{{ strftime_now('%d %b %Y') }}", [hi], { currentDate: '2024-02-03' }, '03 Feb 2024'],
    ['{{ messages[0].role }}', [{ role: 'developer', content: 'x' }], {}, 'system'],
  ]
  for (const [template, messages, options, expected] of cases)
    assert.equal(prompt(templated(template), messages, options), expected, template)
})

test('reasoning has its old name too', () => {
  const answer: Message = { role: 'assistant', content: [{ type: 'reasoning', text: 'r' }, ...(called('f', '{}').content as [])] }
  for (const name of ['thinking', 'reasoning_content']) {
    assert.equal(prompt(templated(`{{ messages[0].${name} }}`), [answer]), 'r')
    assert.equal(prompt(templated(`{{ messages[0].${name} is defined }}`), [called('f', '{}')]), 'False')
  }
})

test('arguments of past calls are objects with the numbers and keys as they were written', () => {
  const json = '{{ messages[0].tool_calls[0].function.arguments | tojson }}'
  const cases: [args: string, expected: string][] = [
    ['', '{}'],
    ['  \n', '{}'],
    ['{}', '{}'],
    ['{"b":1,"a":[1.0,null]}', '{"b": 1, "a": [1.0, null]}'],
    ['{"10":1,"2":12345678901234567890}', '{"10": 1, "2": 12345678901234567890}'],
    ['{"x":1e16,"y":-0.0,"z":1E-7}', '{"x": 1e+16, "y": -0.0, "z": 1e-07}'],
    ['{"a": ', '"{\\"a\\": "'],
    ['[1]', '[1]'],
    ['"text"', '"text"'],
    ['{"__proto__":{"a":1}}', '{"__proto__": {"a": 1}}'],
  ]
  for (const [args, expected] of cases) assert.equal(prompt(templated(json), [called('f', args)]), expected, args)
  const items = '{% for k, v in messages[0].tool_calls[0].function.arguments.items() %}{{ k }}={{ v }};{% endfor %}'
  assert.equal(prompt(templated(items), [called('f', '{"items":[true],"x":null}')]), 'items=[True];x=None;')
})

test('texts that spell markers can be taken apart by the template, and stay text', () => {
  const strip = "{{ messages[0].content.split('</think>')[-1] }}"
  const cases: [template: string, content: string, expected: string][] = [
    [strip, 'a</think>b', 'b'],
    [strip, '<think>a</think>b</s>', 'b</s>'],
    ["{{ messages[0].content.split('</think>')[0].split('<think>')[-1].strip('\\n') }}", '<think>\na\n</think>b', 'a'],
    ["{{ '</think>' in messages[0].content }}", 'a</think>b', 'True'],
    ["{{ messages[0].content.startswith('<tool_response>') }}", '<tool_response>x', 'True'],
    ["{{ messages[0].content | replace('<think>', '') }}", 'a<think>b', 'ab'],
    ['{{ messages[0].content[:4] }}|{{ messages[0].content | length }}', '</s>x', '</s>|5'],
    ["{{ messages[0].content.find('<') }}{{ messages[0].content.count('<s>') }}", 'a<s><s>', '12'],
    ['{{ messages[0].content | tojson }}', '"<|im_end|>"', '"\\"<|im_end|>\\""'],
    ['{{ messages[0].content | upper }}', '</s>', '</S>'],
    ['{{ messages[0].content | lower }}', '</S>', '</s>'],
    ["{% if messages[0].content == '<s>' %}same{% endif %}", '<s>', 'same'],
    ["{{ messages[0].content.removeprefix('<s>').rstrip('>') }}", '<s>a</s>', 'a</s'],
    ['{{ messages[0].content }}{{ eos_token }}', '<|im_end|><s', '<|im_end|><s</s>'],
  ]
  for (const [template, content, expected] of cases) {
    const ids = templated(template).render([{ role: 'user', content }], {})
    assert.equal(chatml.decode(ids), expected, template)
    const own = template.includes('eos_token') ? 1 : 0
    assert.equal(ids.filter((id) => chatml.isSpecial(id)).length, own, template)
  }
})

test('line ends of the template file are read as Python reads them', () => {
  for (const end of ['\n', '\r\n', '\r'])
    assert.equal(prompt(templated(['a', '{% if true %}', 'b', '{% endif %}', 'c', ''].join(end)), [hi]), 'a\nb\nc')
})

test('the named template tool_use is taken when tools are given', async () => {
  const files = async (config: object | undefined, others: Record<string, string> = {}) => {
    const encode = (text: string | undefined) => (text === undefined ? undefined : new TextEncoder().encode(text))
    return formatFor(
      await formatFiles(async (name) => encode(name === 'tokenizer_config.json' && config ? JSON.stringify(config) : others[name]), chatml),
      'template',
    )
  }
  const use = '<tool_call>{# tools #}use'
  const list = (...names: string[]) => ({ chat_template: names.map((name) => ({ name, template: name === 'tool_use' ? use : name })) })
  const cases: [given: [config: object | undefined, others?: Record<string, string>], plain: string, tools: string][] = [
    [[list('default', 'tool_use')], 'default', '<tool_call>use'],
    [[list('rag', 'tool_use', 'default')], 'default', '<tool_call>use'],
    [[list('tool_use')], '<tool_call>use', '<tool_call>use'],
    [[{ chat_template: { default: 'default', tool_use: use } }], 'default', '<tool_call>use'],
    [[undefined, { 'chat_template.jinja': 'file', 'additional_chat_templates/tool_use.jinja': use }], 'file', '<tool_call>use'],
    [[list('default', 'tool_use'), { 'chat_template.jinja': `file${use}` }], 'file<tool_call>use', 'file<tool_call>use'],
    [[undefined, { 'chat_template.json': JSON.stringify(list('default', 'tool_use')) }], 'default', '<tool_call>use'],
  ]
  for (const [given, plain, tools] of cases) {
    const format = await files(...given)
    assert.equal(prompt(format, [hi]), plain, JSON.stringify(given))
    assert.equal(prompt(format, [hi], ask), tools, JSON.stringify(given))
    assert.equal(prompt(format, [hi], { ...ask, toolChoice: 'none' }), plain)
  }
  const format = await files({
    chat_template: '{{ bos_token }}{{ unk_token }}{{ pad_token is defined }}',
    bos_token: { content: '<s>' },
    unk_token: 'U',
  })
  assert.equal(prompt(format, [hi]), '<s>UFalse')
})

/** What Qwen3's published template says, in our words. */
const QWEN3 = `{%- set ns = namespace(last=messages | length - 1, found=false) %}
{%- for m in messages[::-1] %}{% if not ns.found and m.role == 'user' and not (m.content.startswith('<tool_response>') and m.content.endswith('</tool_response>')) %}
{%- set ns.found = true %}{% set ns.last = messages | length - 1 - loop.index0 %}{% endif %}{% endfor %}
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>{% for tool in tools %}{{ '\\n' ~ tool | tojson }}{% endfor %}

</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- for m in messages %}{# last_query_index #}
{%- if m.role == 'assistant' %}
{%- set text = m.content %}{% set thought = m.reasoning_content or '' %}
{%- if not thought and '</think>' in text %}
{%- set thought = text.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}{% set text = text.split('</think>')[-1].lstrip('\\n') %}
{%- endif %}
{{- '<|im_start|>assistant\\n' }}
{%- if loop.index0 > ns.last and (loop.last or thought) %}{{ '<think>\\n' ~ thought.strip('\\n') ~ '\\n</think>\\n\\n' ~ text.lstrip('\\n') }}{% else %}{{ text }}{% endif %}
{%- for call in m.tool_calls or [] %}{{ '\\n' if not loop.first or text }}{{ '<tool_call>\\n{"name": "' ~ call.function.name ~ '", "arguments": ' ~ call.function.arguments | tojson ~ '}\\n</tool_call>' }}{% endfor %}
{{- '<|im_end|>\\n' }}
{%- elif m.role == 'tool' %}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}<|im_start|>user{% endif %}
{{- '\\n<tool_response>\\n' ~ m.content ~ '\\n</tool_response>' }}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}
{%- elif m.role == 'user' or not loop.first %}{{ '<|im_start|>' ~ m.role ~ '\\n' ~ m.content ~ '<|im_end|>\\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}{% endif %}`

test("a family's own writer is used only where it gives what the template gives", () => {
  const qwen = byteTokenizer(qwenSpecials)
  const of = (chatTemplate: string) => formatFor({ tokenizer: qwen, chatTemplate })
  assert.equal(of(QWEN3).name, 'qwen')
  const start = "{%- if messages[0].role != 'system' %}<|im_start|>system\nYou are Jan.<|im_end|>\n{% endif %}"
  const replaced = (from: string, to: string) => {
    assert.ok(QWEN3.includes(from))
    return QWEN3.replaceAll(from, to)
  }
  const variants: [template: string, begins: string, options?: RenderOptions][] = [
    [start + QWEN3, '<|im_start|>system\nYou are Jan.<|im_end|>\n<|im_start|>user\nhi'],
    [
      replaced('enable_thinking is defined and not enable_thinking', 'not (enable_thinking is defined and enable_thinking)'),
      '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n',
    ],
    [
      replaced("'<|im_start|>assistant\\n' }}{% if enable", "'<|im_start|>assistant\\n<think>\\n' }}{% if enable"),
      '<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n',
    ],
    [replaced('# Tools', '# Functions'), '<|im_start|>system\n# Functions\n\nYou may', ask],
    [replaced('</tool_call><|im_end|>', '</tool_call>\nUse them.<|im_end|>'), '<|im_start|>system\n# Tools', ask],
    [replaced('loop.index0 > ns.last and', 'false and'), '<|im_start|>user\nhi'],
    [replaced("'\\n<tool_response>\\n'", "'\\n<tool_response>'"), '<|im_start|>user\nhi'],
    [replaced('m.content ~', '(m.content | trim) ~'), '<|im_start|>user\nhi'],
  ]
  for (const [template, begins, options] of variants) {
    const format = of(template)
    assert.equal(format.name, 'template', template.slice(0, 80))
    const text = prompt(format, [hi], options, qwen)
    assert.equal(text.slice(0, begins.length), begins)
    assert.ok(format.capabilities.tools)
  }
})

test('harmony follows a template with another identity, and keeps its reader', () => {
  const harmony = byteTokenizer(harmonySpecials)
  const abacus = readFileSync(new URL('../../models/abacus/chat_template.jinja', import.meta.url), 'utf8')
  const line = 'You are ChatGPT, a large language model trained by OpenAI.'
  assert.ok(abacus.includes(line))
  const of = (chatTemplate: string) => formatFor({ tokenizer: harmony, chatTemplate })
  assert.match(prompt(of(abacus), [hi], {}, harmony), /^<\|start\|>system<\|message\|>You are ChatGPT/)
  const acme = of(abacus.replace(line, 'You are Acme, made by Acme.'))
  assert.equal(acme.name, 'harmony')
  for (const [thinking, level] of [
    [undefined, 'high'],
    [false, 'low'],
    ['medium', 'medium'],
  ] as const)
    assert.match(
      prompt(acme, [hi], { thinking }, harmony),
      new RegExp(`^<\\|start\\|>system<\\|message\\|>You are Acme, made by Acme\\.[^]*Reasoning: ${level}`),
    )
  assert.match(prompt(acme, [hi], { prefill: 'So' }, harmony), /<\|start\|>assistant<\|channel\|>final<\|message\|>So$/)
  const parser = acme.parser(acme.render([hi], {}), {})
  for (const id of harmony.encodeTemplate('<|channel|>final<|message|>')) parser.push(id)
  assert.equal(parser.region, 'text')
})

/** As those of Gemma 2 and Mistral 7B: a system message or two user messages in a row are refused. */
const STRICT = `{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}`
/** As that of Mistral Nemo: a system message may come first. */
const ALTERNATING = `{% set rest = messages[1:] if messages[0].role == 'system' else messages %}
{%- for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}[{{ m.role }}]{{ m.content }}{% endfor %}
{%- if messages[0].role == 'system' %}({{ messages[0].content }}){% endif %}`

test('conversations that a template refuses are changed as its authors do, with a note', () => {
  const system = (content: string): Message => ({ role: 'system', content })
  const user = (content: string): Message => ({ role: 'user', content })
  const answer = (content: string): Message => ({ role: 'assistant', content })
  const cases: [template: string, messages: Message[], expected: string, note: RegExp | undefined][] = [
    [STRICT, [user('a')], '<s>[user]a', undefined],
    [STRICT, [system('s'), user('a')], '<s>[user]s\n\na', /system messages were put/],
    [STRICT, [{ role: 'developer', content: 's' }, user('a'), answer('b'), user('c')], '<s>[user]s\n\na[assistant]b[user]c', /system/],
    [STRICT, [system('s'), system('t'), user('a')], '<s>[user]s\n\nt\n\na', /system/],
    [STRICT, [user('a'), user('b')], '<s>[user]a\n\nb', /user messages in a row/],
    [STRICT, [user('a'), user('b'), user('c'), answer('d'), user('e')], '<s>[user]a\n\nb\n\nc[assistant]d[user]e', /user messages/],
    [STRICT, [system('s'), user('a'), user('b')], '<s>[user]s\n\na\n\nb', /system messages .* and user messages/],
    [STRICT, [user('a'), answer('b'), system('s'), user('c')], '<s>[user]a[assistant]b[user]s\n\nc', /system/],
    [STRICT, [system('s')], '<s>[user]s', /system/],
    [STRICT, [system('s'), answer('a'), user('b')], '<s>[user]s[assistant]a[user]b', /system/],
    [ALTERNATING, [system('s'), user('a')], '[user]a(s)', undefined],
    [ALTERNATING, [system('s'), user('a'), user('b')], '[user]a\n\nb(s)', /user messages/],
    [ALTERNATING, [system('s'), user('a'), answer('b'), system('t'), user('c')], '[user]a[assistant]b[user]t\n\nc(s)', /system/],
  ]
  for (const [template, messages, expected, note] of cases) {
    const notes: string[] = []
    const ids = templated(template, llama).render(messages, {}, (message) => notes.push(message))
    assert.equal(llama.decode(ids), expected)
    if (note) assert.match(notes.join(), note)
    assert.equal(notes.length, note ? 1 : 0)
  }
  for (const messages of [[answer('a')], [user('a'), answer('b'), answer('c')], [answer('a'), user('b')]])
    assert.throws(() => templated(STRICT, llama).render(messages, {}), { name: 'ChatError', field: 'messages', message: /must alternate/ })
})
