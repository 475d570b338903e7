/**
 * The embedded model's teaching material: the working is arithmetic that checks itself, prompts are what the chat renders, the split is kept.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { windowOf } from '../../src/architecture/slots.ts'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import type { Message } from '../../src/chat/messages.ts'
import { wilson } from '../../src/numbers/statistics.ts'
import { integer, pick, random } from '../../src/random/stream.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { evaluate, isHeldOut, isWorked, type Operation, working } from '../../src/train/abacus/arithmetic.ts'
import { calculate, calculatorTool } from '../../src/train/abacus/calculator.ts'
import { arithmetic, CALCULATOR, drawDialogue, drawProblem, IDENTITY } from '../../src/train/abacus/dialogues.ts'
import { DialogueEncoder, drawExample } from '../../src/train/abacus/encode.ts'
import { heldOutProblems, KINDS, measureCalls, measureEfforts, problemsPerKind } from '../../src/train/abacus/evaluate.ts'
import { abacusArchitecture, VOCABULARY } from '../../src/train/abacus/recipe.ts'
import { abacusTokenizerJson } from '../../src/train/abacus/tokenizer.ts'

const tokenizer = tokenizerFromJson(abacusTokenizerJson(VOCABULARY), 'abacus')
const encoder = new DialogueEncoder(tokenizer)

test('the working at high effort is right line by line and ends in the answer', () => {
  const next = random(1)
  for (let i = 0; i < 3000; i++) {
    const operation = pick(next, ['add', 'subtract', 'multiply'] as const)
    const most = operation === 'multiply' ? 2 : 4
    const problem = drawProblem(next, operation, [integer(next, 1, most), integer(next, 1, most)], false)
    assert.ok(isWorked(problem))
    const text = working(problem, 'high')
    // Every a∘b∘c=d is true (a result with b has borrowed ten).
    for (const [, left, x, digits, mark] of text.matchAll(/(\d[-+*]\d[-+](\d))=(\d+)(b|,|;|$)/g)) {
      void x
      const [a, b, c] = left!.split(/[-+*]/).map(Number) as [number, number, number]
      const value = left!.includes('*') ? a * b + c : left!.includes('-') ? a - b - c + (mark === 'b' ? 10 : 0) : a + b + c
      assert.equal(Number(digits), value, `${left}=${digits}${mark} in ${text}`)
    }
    // The digits of the last columns, read backwards, are the result.
    const last = text.slice(text.lastIndexOf(':') + 1)
    if (operation === 'add' || (operation === 'multiply' && last.includes('+0='))) {
      if (operation === 'multiply' && Math.max(problem.a, problem.b) < 10) continue
      const results = [...last.matchAll(/=(\d)(\d),/g)]
      const value = Number(
        `${results.at(-1)![1]}${results
          .map((m) => m[2])
          .reverse()
          .join('')}`,
      )
      assert.equal(value, evaluate(problem), text)
    }
  }
  assert.equal(working({ operation: 'add', a: 47, b: 85 }, 'high'), '47+85:7+5+0=12,4+8+1=13,')
  assert.equal(working({ operation: 'subtract', a: 47, b: 85 }, 'high'), '47-85:4<8;85-47:5-7-0=8b8-4-1=3,')
  assert.equal(working({ operation: 'multiply', a: 7, b: 8 }, 'high'), '7*8:7*8+0=56,')
  assert.equal(working({ operation: 'add', a: 47, b: 85 }, 'low'), '')
  const long = working({ operation: 'multiply', a: 47, b: 85 }, 'high')
  assert.equal(long, '47*85:7*5+0=35,4*5+3=23,=0235;7*8+0=56,4*8+5=37,=3760;0235+3760:5+0+0=05,3+6+0=09,2+7+0=09,0+3+0=03,')
  assert.ok(working({ operation: 'multiply', a: 47, b: 85 }, 'medium').length < long.length)
})

test('training never shows a problem that is kept for evaluation', () => {
  const next = random(2)
  let seen = 0
  for (let i = 0; i < 4000; i++) {
    for (const { user } of drawDialogue(next).exchanges) {
      const match = /(\d+) ?([-+*]|plus|minus|times) ?(\d+)/.exec(user)
      if (!match) continue
      const operation = (
        { '+': 'add', plus: 'add', '-': 'subtract', minus: 'subtract', '*': 'multiply', times: 'multiply' } as Record<string, Operation>
      )[match[2]!]!
      assert.equal(isHeldOut({ operation, a: Number(match[1]), b: Number(match[3]) }), false, user)
      seen++
    }
  }
  assert.ok(seen > 1000)
  for (const kind of KINDS)
    for (const problem of heldOutProblems(kind, 100, 1)) {
      assert.ok(isHeldOut(problem))
      assert.deepEqual([String(problem.a).length, String(problem.b).length], kind.digits)
    }
})

test('a dialogue in ids is the prompt that the chat renders, then what the model must say', () => {
  const format = harmonyFormat(tokenizer)
  const next = random(3)
  for (let i = 0; i < 300; i++) {
    const dialogue = drawDialogue(next)
    const { ids, counts } = encoder.encode(dialogue)
    const messages: Message[] = dialogue.instructions === '' ? [] : [{ role: 'developer', content: dialogue.instructions }]
    dialogue.exchanges.forEach(({ user, final }, j) => {
      messages.push({ role: 'user', content: user })
      if (j < dialogue.exchanges.length - 1) messages.push({ role: 'assistant', content: final })
    })
    const options = {
      thinking: dialogue.effort,
      ...(dialogue.identity === 'own' && { identity: IDENTITY, knowledgeCutoff: null }),
      ...(dialogue.date !== '' && { currentDate: dialogue.date }),
      ...(dialogue.tool && { tools: [dialogue.tool] }),
    }
    const prompt = format.render(messages, options)
    assert.deepEqual(ids.slice(0, prompt.length), prompt)
    // The rest, parsed by the chat's own parser, is the analysis, the call and the answer.
    const { analysis, call, final } = dialogue.exchanges.at(-1)!
    const parser = format.parser(prompt, options)
    const callEnd = ids.indexOf(tokenizer.specials.get('<|call|>')!)
    const said = ids.slice(prompt.length, callEnd < 0 ? ids.length : callEnd + 1)
    const events = said.flatMap((id) => parser.push(id))
    assert.equal(events.find((event) => event.type === 'reasoning-end')?.text ?? '', analysis)
    if (call)
      assert.equal(events.find((event) => event.type === 'tool-call-end')?.arguments, JSON.stringify({ expression: call.expression }))
    else assert.equal(events.find((event) => event.type === 'text-end')?.text, final)
    assert.ok(counts.slice(prompt.length).some(Boolean) && counts[prompt.length], 'the first id after the prompt counts')
    assert.equal(ids.length, counts.length)
  }
})

test('examples are packed whole, with a slot and positions for each dialogue', () => {
  const { batch, rows, targets } = drawExample(random(4), encoder, 600)
  assert.ok(batch.ids.length <= 600 && batch.ids.length > 300)
  batch.slots.forEach((slot, t) => {
    if (t > 0 && slot === batch.slots[t - 1]) assert.equal(batch.positions[t], batch.positions[t - 1]! + 1)
    else assert.equal(batch.positions[t], 0)
  })
  rows.forEach((t, r) => {
    if (t + 1 < batch.ids.length && batch.slots[t + 1] === batch.slots[t]) assert.equal(targets[r], batch.ids[t + 1])
  })
})

test('digits stay single, any bytes are encodable, and the configuration fits', () => {
  assert.equal(tokenizer.encode('1234567890').length, 10)
  const text = 'naïve ☃ 數 \u0000 What is 12 + 34?\n'
  assert.equal(tokenizer.decode(tokenizer.encode(text)), text)
  assert.equal(tokenizer.vocabSize, VOCABULARY)
  const architecture = abacusArchitecture()
  assert.equal(architecture.vocabSize, VOCABULARY)
  assert.equal(architecture.expertDtype, 'mxfp4')
  assert.deepEqual(architecture.layers.map(windowOf), [64, null, 64, null])
  assert.equal(architecture.eosTokenIds[0], tokenizer.specials.get('<|return|>'))
})

test('the calculator reads arithmetic and nothing else', () => {
  assert.equal(calculate('47+85'), 132n)
  assert.equal(calculate(' 2 * (3 - 10) - -4'), -10n)
  assert.equal(calculate('99999999*99999999'), 9999999800000001n)
  for (const wrong of ['', '1+', 'process.exit()', '1/2', '(1', '1)', '2**3x', 'a'.repeat(2000)])
    assert.throws(() => calculate(wrong), SyntaxError)
  const context = { toolCallId: '1', signal: undefined }
  assert.equal(calculatorTool.execute({ expression: '6*7' }, context), '42')
  assert.throws(() => calculatorTool.execute({ wrong: 1 }, context), /expected/)
  assert.equal(calculatorTool.name, CALCULATOR.name)
})

test('the measurement counts what is asked, and its intervals are Wilson’s', async () => {
  const [low, high] = wilson(95, 100)
  assert.ok(Math.abs(low - 0.8882) < 1e-3 && Math.abs(high - 0.9785) < 1e-3)
  assert.deepEqual(wilson(0, 0), [0, 1])
  // Somebody who adds correctly, subtracts wrongly, and calls the calculator only at high effort.
  const ask = async (question: string, effort: string, withCalculator: boolean) => {
    const [, a, sign, b] = /What is (\d+) ([-+*]) (\d+)\?/.exec(question)!
    const value = calculate(`${a}${sign}${b}`)
    const text = String(sign === '-' && !withCalculator ? value + 1n : value)
    return {
      text,
      reasoningTokens: effort === 'high' ? 10 : 2,
      calls: withCalculator && effort === 'high' ? [`{"expression":"${a}${sign}${b}"}`] : withCalculator ? ['oops'] : [],
    }
  }
  const cells = await measureEfforts(ask, ['low', 'high'], 220, 1)
  assert.equal(cells.length, 2 * KINDS.length)
  const asked = cells.filter(({ effort }) => effort === 'low').map(({ problems }) => problems)
  assert.equal(
    asked.reduce((sum, n) => sum + n, 0),
    220,
  )
  for (const cell of cells) {
    assert.equal(cell.right, cell.operation === 'subtract' ? 0 : cell.problems)
    assert.equal(cell.reasoningTokens, cell.effort === 'high' ? 10 : 2)
  }
  const calls = await measureCalls(ask, 60, 1)
  assert.equal(calls.right, 60)
  assert.ok(calls.wellFormed > 5 && calls.wellFormed < 40)
  assert.equal(
    arithmetic(random(1), 'add', { digits: [9, 9], tool: false }).final,
    'These numbers are too large for me. Offer me a calculator tool.',
  )
})

test('a thousand held-out problems: all of the small kinds, equally many of the others', () => {
  const shares = problemsPerKind(1000)
  assert.equal(
    shares.reduce((sum, n) => sum + n, 0),
    1000,
  )
  KINDS.forEach((kind, i) => {
    const problems = heldOutProblems(kind, shares[i]!, 1)
    assert.equal(new Set(problems.map(({ a, b }) => `${a},${b}`)).size, shares[i], 'all different')
    assert.ok(problems.every((problem) => isHeldOut(problem) && problem.operation === kind.operation))
    for (const { a, b } of problems) assert.deepEqual([String(a).length, String(b).length], kind.digits)
  })
  const sums = KINDS.findIndex(({ operation, digits }) => operation === 'add' && digits[0] === 1)
  assert.equal(shares[sums], heldOutProblems(KINDS[sums]!, 1000, 1).length, 'every held-out sum of two digits')
  assert.ok(Math.max(...shares) >= 120 && Math.min(...shares) < 20)
})
