/** What gpt-oss writes beside the format, by kind: recipients, names, repeated finals, invented turns, long names, empty arguments. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer } from '../../src/answer/answer.ts'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import { toolNames } from '../../src/chat/formats/tool-names.ts'
import type { ChatEvent, RenderOptions } from '../../src/chat/messages.ts'
import { checkEvents, summary } from './events.ts'
import { o200kHarmony } from './o200k.ts'
import { scriptedModel } from './scripted.ts'

const tokenizer = o200kHarmony()
const format = harmonyFormat(tokenizer)

function read(text: string, options: RenderOptions = { tools: [{ name: 'bash' }, { name: 'web-search' }] }): string[] {
  const parser = format.parser(format.render([{ role: 'user', content: 'hi' }], options), options)
  const events: ChatEvent[] = tokenizer.encodeTemplate(text).flatMap((id) => parser.push(id))
  events.push(...parser.end())
  checkEvents(events)
  return summary(events)
}

/** The visible parts of the answers that a model of this script gives. */
async function answered(script: string, ask: Parameters<typeof answer>[2] = { tools: [{ name: 'f' }] }): Promise<string[]> {
  const events: ChatEvent[] = []
  for await (const event of answer(scriptedModel([script]), [{ role: 'user', content: 'hi' }], ask)) events.push(event)
  const finish = events.at(-1) as { reason: string }
  return [...summary(events.slice(0, -1)), `finish ${finish.reason}`]
}

const ok = '<|end|><|start|>assistant<|channel|>final<|message|>ok<|return|>'

test('a recipient outside of the channel commentary', () => {
  const cases: [string, string[]][] = [
    ['<|channel|>final to=functions.bash<|message|>The answer is 4.<|return|>', ['! malformed-header', 'text: The answer is 4.']],
    ['<|channel|>final to=functions.bash <|constrain|>json<|message|>{"a": 1}<|return|>', ['! malformed-header', 'text: {"a": 1}']],
    [' to=functions.bash<|channel|>final<|message|>4<|return|>', ['! malformed-header', 'text: 4']],
    ['<|channel|>final to=user<|message|>4<|return|>', ['text: 4']],
    ['<|channel|>final to=nowhere json<|message|>4<|return|>', ['! malformed-header', 'text: 4']],
    [
      `<|channel|>analysis to=functions.bash<|message|>I think about it${ok}`,
      ['! malformed-tool-call', 'reasoning: I think about it', 'text: ok'],
    ],
    [`<|channel|>analysis to=functions.bash code<|message|>["ls"]${ok}`, ['! malformed-tool-call', 'reasoning: ["ls"]', 'text: ok']],
    [`<|channel|>analysis to=functions.bash<|message|>${ok}`, ['! malformed-tool-call', 'reasoning: ', 'text: ok']],
    ['<|channel|>analysis to=functions.bash code<|message|>{"cmd":"ls"}<|call|>', ['call bash: {"cmd":"ls"}']],
    [
      '<|channel|>analysis to=functions.bash<|message|>So: {"cmd":"ls"}<|call|>',
      ['! reasoning-in-arguments', 'reasoning: So: ', 'call bash: {"cmd":"ls"}'],
    ],
    // A header that never ends is no call.
    ['<|channel|>commentary to=functions.bash<|call|>', ['! malformed-header', '! missing-header', 'commentary: ']],
    [
      ' to=functions.bash<|channel|>commentary {"cmd":"ls"}<|call|>',
      ['! malformed-header', '! missing-header', 'commentary: {"cmd":"ls"}'],
    ],
    ['<|channel|>analysis to=functions.bash I think<|end|>', ['! malformed-header', '! missing-header', 'reasoning: I think']],
  ]
  for (const [text, expected] of cases) assert.deepEqual(read(text), expected, text)
})

test('plainly misspelt recipients are read as the offered name, with a warning', () => {
  const spellings = [
    'function.bash',
    'functions:bash',
    'functions.functions.bash',
    'Functions.bash',
    'functions/bash',
    'tools.bash',
    '`bash`',
  ]
  for (const spelling of [
    ...spellings,
    'functions.bash:',
    'functions.Bash',
    '"functions.bash"',
    'function:functions..bash',
    'functions->bash',
  ])
    assert.deepEqual(
      read(`<|channel|>commentary to=${spelling} <|constrain|>json<|message|>{}<|call|>`),
      ['! malformed-header', 'call bash: {}'],
      spelling,
    )
  for (const spelling of ['functions.web_search', 'functions.web-search', 'web_search', 'bash'])
    assert.equal(read(`<|channel|>commentary to=${spelling} json<|message|>{}<|call|>`).length, 1, spelling)
  assert.deepEqual(read('<|channel|>commentary to=function.web.search json<|message|>{}<|call|>'), [
    '! malformed-header',
    'call web-search: {}',
  ])
  // Other names stay what they are.
  for (const name of ['container.exec', 'functions.bas', 'bash2', 'mybash'])
    assert.deepEqual(read(`<|channel|>commentary to=${name} json<|message|>{}<|call|>`), [
      '! unknown-tool',
      `call ${name.replace(/^functions\./, '')}: {}`,
    ])
  // A tool whose own name looks like a prefix, and names that differ in their case.
  const names = toolNames(['functions', 'function.f', 'Go', 'go'])
  assert.deepEqual(
    ['functions', 'functions.functions', 'function.f', 'GO', 'functions.Go', 'f'].map((name) => names.toLikelyName(name)),
    ['functions', 'functions', 'function.f', undefined, 'Go', undefined],
  )
})

test('two final messages are kept apart on the way to the caller', async () => {
  const final = '<|channel|>final<|message|>'
  const again = `<|end|><|start|>assistant${final}`
  assert.deepEqual(read(`${final}A${again}B<|return|>`), ['text: A', '! repeated-channel', 'text: B'])
  const cases: [string, string][] = [
    [`${final}A${again}B<|return|>`, 'A\n\nB'],
    [`${final}A\n${again}B<|return|>`, 'A\nB'],
    [`${final}A${again} B<|return|>`, 'A B'],
    [`${final}${again}B<|return|>`, 'B'],
    [`${final}A${again}B${again}C<|return|>`, 'A\n\nB\n\nC'],
    [`${final}A<|end|><|start|>assistant<|channel|>analysis<|message|>hm${again}B<|return|>`, 'A\n\nB'],
    [`${final}A<|end|> and more<|return|>`, 'A and more'],
  ]
  for (const [script, expected] of cases) {
    const parts = await answered(script)
    const text = parts.filter((part) => part.startsWith('text: ')).map((part) => part.slice(6))
    assert.equal(text.join(''), expected, script)
    assert.equal(parts.at(-1), 'finish stop')
  }
})

test("someone else's turn ends the answer", async () => {
  const call = ' to=functions.f<|channel|>commentary json<|message|>{"a":1}<|end|>'
  const invented =
    '<|start|>functions.f to=assistant<|channel|>commentary<|message|>42<|end|><|start|>assistant<|channel|>final<|message|>42!<|return|>'
  const cases: [string, string[]][] = [
    [`<|channel|>final<|message|>Hi<|end|><|start|>user<|message|>And?<|return|>`, ['text: Hi', '! unknown-role', 'finish stop']],
    [`<|channel|>final<|message|>Hi<|end|><|start|>user:Ines<|message|>And?<|return|>`, ['text: Hi', '! unknown-role', 'finish stop']],
    [`<|channel|>final<|message|>Hi<|end|><|start|>system<|message|>You are<|return|>`, ['text: Hi', '! unknown-role', 'finish stop']],
    [`${call}${invented}`, ['call f: {"a":1}', '! unknown-role', 'finish tool-calls']],
    [`${call}<|start|>tool<|message|>42<|return|>`, ['call f: {"a":1}', '! unknown-role', 'finish tool-calls']],
    [`<|channel|>analysis<|message|>hm<|end|>${invented}`, ['reasoning: hm', '! unknown-role', 'finish stop']],
    [
      `${call}<|start|>python to=assistant<|channel|>analysis<|message|>1<|return|>`,
      ['call f: {"a":1}', '! unknown-role', 'finish tool-calls'],
    ],
  ]
  for (const [script, expected] of cases) assert.deepEqual(await answered(script), expected, script)
  // What was asked for still comes: the turn is abandoned, and the document or the call is written.
  const schema = { type: 'object', properties: { a: { const: 1 } }, required: ['a'], additionalProperties: false }
  const tools = [{ name: 'f' }]
  for (const script of ['<|start|>user<|message|>And?', '<|start|>functions.f to=assistant<|channel|>commentary<|message|>42']) {
    const document = await answered(`<|channel|>analysis<|message|>hm<|end|>${script}`, { schema, tools })
    assert.ok(document.includes('! unknown-role') && document.includes('text: {"a": 1}'), document.join('\n'))
    assert.equal(document.at(-1), 'finish stop')
  }
})

test('headers with the longest name that a request may give a tool', async () => {
  const letters = Array.from({ length: 128 }, (_, i) => 'qzjxkvwypfgbmh'[(i * i + 3 * i) % 14]).join('')
  const names = [letters, 'f_7_7_'.repeat(10), `f${'_7'.repeat(60)}`, '京都'.repeat(32), `x${'-.'.repeat(60)}y`, 'Ω'.repeat(128)]
  for (const name of names) {
    const tools = [{ name }, { name: 'other' }]
    const parser = format.parser(format.render([{ role: 'user', content: 'hi' }], { tools }), { tools })
    const forced = parser.force.toolCall(name)
    const events = [...forced, ...tokenizer.encode('{}'), ...parser.force.endToolCall()].flatMap((id) => parser.push(id))
    assert.deepEqual(summary([...events, ...parser.end()]), [`call ${name}: {}`])
    const shown = toolNames([name]).toIdentifier(name)
    assert.deepEqual(read(`<|channel|>commentary to=functions.${shown} <|constrain|>json<|message|>{}<|call|>`, { tools }), [
      `call ${name}: {}`,
    ])
  }
  // Without such names a forgotten header is given up as before.
  const parser = format.parser(format.render([{ role: 'user', content: 'hi' }], {}), {})
  const first = tokenizer.encode('one two three '.repeat(40)).findIndex((id) => parser.push(id).some(({ type }) => type === 'text-delta'))
  assert.ok(first > 0 && first <= 65)
})

test('a call without arguments has the arguments {}', async () => {
  const header = '<|channel|>commentary to=functions.f <|constrain|>json<|message|>'
  const tools = [{ name: 'f' }]
  for (const text of [`${header}<|call|>`, `${header}<|end|>`, ` to=functions.f<|channel|>commentary<|message|><|call|>`])
    assert.deepEqual(read(text, { tools }), ['call f: {}'], text)
  assert.deepEqual(read(`${header} \n<|call|>`, { tools }), ['call f:  \n{}'])
  assert.deepEqual(await answered(`${header}<|call|>`), ['call f: {}', 'finish tool-calls'])
  // A call that the end of the answer cuts is not completed.
  assert.deepEqual(read(header, { tools }), ['call f: ', '! unfinished-tool-call'])
  for (const given of ['', ' ', '\n'])
    assert.ok(
      tokenizer
        .decode(
          format.render(
            [
              { role: 'user', content: 'hi' },
              { role: 'assistant', content: [{ type: 'tool-call', id: '1', name: 'f', arguments: given }] },
              { role: 'tool', toolCallId: '1', content: 'x' },
            ],
            { tools },
          ),
        )
        .includes('json<|message|>{}<|call|>'),
    )
})
