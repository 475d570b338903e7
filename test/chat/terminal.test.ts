/** The terminal conversation over fake streams: commands, editing, pastes, Ctrl-C, folding; and the one-shot answer for scripts. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { after, test } from 'node:test'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import type { Tool } from '../../src/chat/messages.ts'
import { ChatSession, type TurnOptions } from '../../src/chat/session.ts'
import { historyPath, InputHistory } from '../../src/cli/chat/history.ts'
import { chatOnce } from '../../src/cli/chat/once.ts'
import { chatInTerminal } from '../../src/cli/chat/repl.ts'
import { parseSaved } from '../../src/cli/chat/saved.ts'
import { holdKeys } from '../../src/cli/chat/start.ts'
import { loadTools } from '../../src/cli/chat/tools.ts'
import { printable } from '../../src/cli/chat/view.ts'
import { byteTokenizer, qwenSpecials } from './byte-tokenizer.ts'
import { type ScriptedModel, scriptedModel } from './scripted.ts'

const folder = mkdtempSync(join(tmpdir(), 'lineage-chat-'))
after(() => rmSync(folder, { recursive: true }))

const final = (text: string) => `<|channel|>final<|message|>${text}<|return|>`
const think = (text: string) => `<|channel|>analysis<|message|>${text}<|end|><|start|>assistant`

interface Driver {
  /** Waits until the screen shows this after what was seen before, then types. */
  after(shown: string, type: string): Promise<void>
  screen(): string
  ended: Promise<number>
  session: ChatSession
}

function drive(
  model: ScriptedModel,
  options: TurnOptions = {},
  more: { history?: InputHistory; folded?: boolean; colour?: boolean } = {},
): Driver {
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} })
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 80 })
  let shown = ''
  let seen = 0
  output.on('data', (chunk) => {
    shown += chunk
  })
  const session = new ChatSession(model, options)
  const ended = chatInTerminal({
    session,
    modelName: 'test',
    streams: { input, output },
    history: more.history ?? new InputHistory(undefined),
    colour: more.colour ?? false,
    folded: more.folded,
  })
  return {
    async after(text, type) {
      const deadline = Date.now() + 5000
      while (shown.indexOf(text, seen) < 0) {
        if (Date.now() > deadline) assert.fail(`waited for ${JSON.stringify(text)}, saw ${JSON.stringify(shown.slice(seen))}`)
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
      seen = shown.indexOf(text, seen) + text.length
      input.write(type)
    },
    screen: () => shown,
    ended,
    session,
  }
}

test('a question, an answer, thinking dimmed, leaving by Ctrl-D', async () => {
  const { after: see, ended, screen } = drive(scriptedModel([think('Hm, sums.') + final('132.')]), {}, { colour: true })
  await see('> ', 'What is 47 + 85?\r')
  await see('132.\n', '')
  await see('> ', '\x04')
  assert.equal(await ended, 0)
  assert.ok(screen().includes('\x1b[2mH\x1b[22m'))
  assert.ok(screen().startsWith('\x1b[?2004h') && screen().includes('\x1b[?2004l'))
})

test('the slash commands', async () => {
  const adder: Tool = { name: 'add', description: 'Adds.\nNumbers.', execute: () => 3 }
  const model = scriptedModel([think('one') + final('First.'), final('Second.'), final('Again.'), final('Loaded.'), final('New.')])
  const file = join(folder, 'saved conversation.json')
  const { after: see, ended, session, screen } = drive(model, { tools: [adder] })
  const command = async (line: string, answer: string) => {
    await see('> ', `${line}\r`)
    await see(answer, '')
  }
  await command('/help', '/exit')
  await command('/stats', 'no answer yet')
  await command('/effort', 'effort: medium')
  await command('/effort enormous', 'effort is low, medium or high')
  await command('/effort high', '\n')
  await command('/no-think', '/effort low makes it brief')
  await command('/system Be brief.', '\n')
  await command('/system', 'Be brief.')
  await command('/tools', 'add  Adds.')
  await command('/tools off', '\n')
  await command('/tools', '(off)')
  await command('/nonsense', 'unknown command /nonsense')
  await command('hello', 'First.')
  assert.ok(
    model.prompts[0]!.includes('Reasoning: high') &&
      model.prompts[0]!.includes('# Instructions\n\nBe brief.') &&
      !model.prompts[0]!.includes('# Tools'),
  )
  await command('/reasoning', 'one')
  await command('/tools on', '\n')
  await command('more', 'Second.')
  assert.ok(model.prompts[1]!.includes('type add = () => any'))
  await command('/stats', 'tokens/s')
  await command('/retry', 'Again.')
  await command(`/save ${file}`, 'saved 5 messages')
  assert.deepEqual(
    session.messages.filter(({ role }) => role === 'user').map(({ content }) => content),
    ['hello', 'more'],
  )
  assert.equal(statSync(file).mode & 0o777, 0o600)
  await command('/clear', '\n')
  await command('/system', 'Be brief.')
  assert.deepEqual(session.messages, [{ role: 'system', content: 'Be brief.' }])
  await command(`/load ${file}`, 'loaded 5 messages')
  await command('on', 'Loaded.')
  assert.ok(model.prompts[3]!.includes('Again.'))
  await command('/load /does/not/exist', 'ENOENT')
  await command('/save', 'needs a file name')
  await command('/fold', 'folded')
  await command('/fold', 'shown')
  await command('/system none', '\n')
  await command('bye then', 'New.')
  assert.ok(!model.prompts[4]!.includes('# Instructions'))
  await see('> ', '/exit\r')
  assert.equal(await ended, 0)
  assert.doesNotMatch(screen(), /undefined|\[object/)
})

test('/think and /no-think where the model has a switch', async () => {
  const tokenizer = byteTokenizer(qwenSpecials)
  const model = scriptedModel(['Hello.<|im_end|>'], { tokenizer, format: qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' }) })
  const { after: see, ended, session } = drive(model)
  await see('> ', '/no-think\r')
  await see('> ', 'hi\r')
  await see('Hello.\n', '')
  assert.ok(model.prompts[0]!.endsWith('<think>\n\n</think>\n\n'))
  await see('> ', '/think 100\r')
  await see('> ', '/effort high\r')
  await see('use /think and /no-think', '')
  assert.deepEqual(session.options.thinking, { budget: 100 })
  await see('> ', '/think\r')
  await see('> ', 'hi\r')
  await see('Hello.\n', '\x04')
  assert.ok(model.prompts[1]!.endsWith('<|im_start|>assistant\n'))
  await ended
})

test('inputs of several lines: backslash, block, paste', async () => {
  const model = scriptedModel([final('ok.')])
  const { after: see, ended, session } = drive(model)
  const last = () => session.messages.findLast(({ role }) => role === 'user')!.content
  await see('> ', 'one\\\r')
  await see('… ', 'two\r')
  await see('ok.\n', '')
  assert.equal(last(), 'one\ntwo')
  await see('> ', '"""\r')
  await see('… ', 'three\r')
  await see('… ', '\r')
  await see('… ', 'four"""\r')
  await see('ok.\n', '')
  assert.equal(last(), 'three\n\nfour')
  await see('> ', '"""five"""\r')
  await see('ok.\n', '')
  assert.equal(last(), 'five')
  await see('> ', '\x1b[200~def f(x):\r\treturn x\r\r/exit\x1b[201~')
  await see('/exit', '\r')
  await see('ok.\n', '')
  assert.equal(last(), 'def f(x):\n\treturn x\n\n/exit')
  await see('> ', '\x04')
  await ended
})

test('history: arrow up, across runs, with line breaks', async () => {
  const path = join(folder, 'state', 'history')
  const model = scriptedModel([final('ok.')])
  const first = drive(model, {}, { history: new InputHistory(path) })
  await first.after('> ', 'remember me\r')
  await first.after('ok.\n', '')
  await first.after('> ', 'two\\\r')
  await first.after('… ', 'lines\r')
  await first.after('ok.\n', '\x04')
  await first.ended
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const second = drive(model, {}, { history: new InputHistory(path) })
  await second.after('> ', '\x1b[A\r')
  await second.after('ok.\n', '')
  assert.ok(model.prompts.at(-1)!.includes('<|message|>two\nlines<|end|>'))
  await second.after('> ', '\x1b[A\x1b[A\r')
  await second.after('ok.\n', '\x04')
  await second.ended
  assert.ok(model.prompts.at(-1)!.endsWith('<|message|>remember me<|end|><|start|>assistant'))
  writeFileSync(path, `${Array.from({ length: 1500 }, (_, i) => JSON.stringify(`entry ${i}`)).join('\n')}\n"cut`)
  assert.equal(new InputHistory(path).entries.length, 1000)
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 1001)
  assert.equal(historyPath({ LINEAGE_HISTORY: '' }), undefined)
  assert.equal(historyPath({ XDG_STATE_HOME: '/s' }), '/s/lineage/history')
})

test('Ctrl-C: clears the line, stops the answer, twice leaves', async () => {
  const long = final('word '.repeat(300))
  const one = drive(scriptedModel([long, final('Short.')], { msPerToken: 2 }))
  await one.after('> ', 'half a thou')
  await one.after('half a thou', '\x03')
  await one.after('> ', 'go\r')
  await one.after('word word', '\x03')
  await one.after('(stopped)', '')
  await one.after('> ', 'again\r')
  await one.after('Short.', '')
  await one.after('> ', '\x03')
  await one.after('again leaves', '')
  await one.after('> ', '\x03')
  assert.equal(await one.ended, 0)
  assert.deepEqual(
    one.session.messages.map(({ role }) => role),
    ['user', 'assistant', 'user', 'assistant'],
  )
  const retried = drive(scriptedModel([final('First.'), think('Hm. '.repeat(300)) + final('Second.')], { msPerToken: 2 }))
  await retried.after('> ', 'go\r')
  await retried.after('First.', '')
  await retried.after('> ', '')
  const said = structuredClone(retried.session.messages)
  await retried.after('', '/retry\r')
  await retried.after('Hm. Hm.', '\x03')
  await retried.after('(stopped)', '')
  await retried.after('> ', '\x04')
  await retried.ended
  assert.deepEqual(retried.session.messages, said, 'the first answer stays where the second one did not come')
  const two = drive(scriptedModel([long], { msPerToken: 2 }))
  await two.after('> ', 'go\r')
  await two.after('word word', '\x03\x03')
  assert.equal(await two.ended, 130)
})

test('typing ahead while an answer runs', async () => {
  const model = scriptedModel([final('A longer first answer.'), final('Second.')], { msPerToken: 1 })
  const { after: see, ended, screen } = drive(model)
  await see('> ', 'one\r')
  await see('longer', 'two\r\x04') // Ctrl-D leaves when all is answered
  await see('Second.', '')
  assert.equal(await ended, 0)
  assert.ok(screen().includes('A longer first answer.\n> two\nSecond.\n'))
})

test('/exit typed while an answer runs ends it and leaves; what was typed before is not asked', async () => {
  for (const typed of ['/exit\r', 'more?\r/quit\r', ' /bye \r']) {
    const model = scriptedModel([final('word '.repeat(300)), final('Never.')], { msPerToken: 2 })
    const { after: see, ended, screen } = drive(model)
    await see('> ', 'go\r')
    await see('word word', typed)
    assert.equal(await ended, 0)
    assert.ok(!screen().includes('Never.') && screen().split('word').length < 300, typed)
  }
})

test('folded thinking, tools, warnings', async () => {
  const model = scriptedModel([
    `${think('secret thoughts')} to=functions.add<|channel|>commentary json<|message|>{"a": 1}<|call|>`,
    '<|message|>Three.<|return|>',
  ])
  const adder: Tool = { name: 'add', execute: () => ({ sum: 3 }) }
  const { after: see, ended, screen } = drive(model, { tools: [adder] }, { folded: true })
  await see('> ', 'add\r')
  await see('∙ thinking … 15', '')
  await see('∙ thought for', '')
  await see('→ add {"a": 1}\n', '')
  await see('← {"sum":3}\n', '')
  await see('! a message without a channel', '')
  await see('Three.\n', '')
  assert.ok(!screen().includes('secret'))
  await see('> ', '/reasoning\r')
  await see('secret thoughts', '')
  await see('> ', '\x04')
  await ended
})

test('control characters of models and tools do not reach the terminal', async () => {
  assert.equal(printable('a\x1b]0;title\x07b\x9b31m\r\n\tc'), 'a]0;titleb31m\n\tc')
  const { after: see, ended, screen } = drive(scriptedModel([think('\x1b[2J') + final('\x1b]0;evil\x07done')]))
  await see('> ', 'x\r')
  await see('done', '\x04')
  await ended
  assert.ok(!screen().includes('\x1b[2J') && !screen().includes('\x1b]0'))
})

function sink() {
  let text = ''
  return { write: (piece: string) => (text += piece), text: () => text }
}

test('one answer: text on one stream, everything else on the other', async () => {
  const script = [think('Hm.') + final('It is 132.')]
  const run = async (options: { json?: boolean; quiet?: boolean; signal?: AbortSignal }) => {
    const [stdout, stderr] = [sink(), sink()]
    const code = await chatOnce({ session: new ChatSession(scriptedModel(script)), question: 'q', stdout, stderr, ...options })
    return { code, out: stdout.text(), err: stderr.text() }
  }
  assert.deepEqual(await run({}), { code: 0, out: 'It is 132.\n', err: 'Hm.\n' })
  assert.deepEqual(await run({ quiet: true }), { code: 0, out: 'It is 132.\n', err: '' })
  const { out, err } = await run({ json: true })
  const events = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual([events[0].type, events.at(-1).type, err], ['reasoning-start', 'finish', ''])
  assert.equal((await run({ signal: AbortSignal.abort() })).code, 130)
})

test('saved conversations are checked field by field', () => {
  const bad: [value: unknown, message: RegExp][] = [
    [{}, /expected \{"version": 1/],
    [{ version: 1, messages: [{ role: 'king', content: '' }] }, /messages\[0\]\.role/],
    [{ version: 1, messages: [{ role: 'user', content: 5 }] }, /messages\[0\]\.content/],
    [{ version: 1, messages: [{ role: 'assistant', content: [{ type: 'tool-call', id: '1', name: 'f' }] }] }, /content\[0\]\.arguments/],
    [{ version: 1, messages: [{ role: 'tool', content: 'x' }] }, /toolCallId/],
    [{ version: 1, messages: [null] }, /messages\[0\]/],
  ]
  for (const [value, message] of bad) assert.throws(() => parseSaved(JSON.stringify(value), 'f.json'), message)
  assert.throws(() => parseSaved('{', 'f.json'), /not JSON/)
})

test('modules of tools', async () => {
  const file = join(folder, 'tools.mjs')
  writeFileSync(
    file,
    `export const add = { name: 'add', parameters: { type: 'object' }, execute: ({ a, b }) => a + b }\nexport const version = 1\n`,
  )
  const [tool] = await loadTools(file)
  assert.equal(tool!.execute({ a: 1, b: 2 }, { toolCallId: '', signal: undefined }), 3)
  writeFileSync(join(folder, 'list.mjs'), `const f = (name) => ({ name, execute() {} })\nexport default [f('a'), f('a')]\n`)
  await assert.rejects(loadTools(join(folder, 'list.mjs')), /two tools are called a/)
  writeFileSync(join(folder, 'none.mjs'), 'export const x = 1\n')
  await assert.rejects(loadTools(join(folder, 'none.mjs')), /exports no tools/)
  await assert.rejects(loadTools(join(folder, 'missing.mjs')), /missing\.mjs/)
})

test('keys typed while a model loads are not echoed, and reach the prompt; Ctrl-C interrupts', async () => {
  const modes: boolean[] = []
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (raw: boolean) => modes.push(raw) })
  let interrupts = 0
  const release = holdKeys(input, () => interrupts++)
  input.write('What is ')
  input.write('é?')
  await new Promise((resolve) => setTimeout(resolve, 5))
  input.write('\u0003')
  await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual([modes, interrupts], [[true], 1])
  release()
  assert.deepEqual(modes, [true, false])
  assert.equal(input.read().toString(), 'What is é?')
  holdKeys(new PassThrough(), () => {})() // a pipe is left alone
})
