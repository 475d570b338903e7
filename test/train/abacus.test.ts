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
import { workingOf } from '../../src/train/abacus/arithmetic.ts'
import { calculate, calculatorTool } from '../../src/train/abacus/calculator.ts'
import { abacusTask } from '../../src/train/abacus/checkable.ts'
import { answerTo, CALCULATOR, drawDialogue, drawExpression, drawLong, IDENTITY, leakOf } from '../../src/train/abacus/dialogues.ts'
import { DialogueEncoder, drawExample } from '../../src/train/abacus/encode.ts'
import {
  heldOutProblems,
  isDeclined,
  KINDS,
  measureCalls,
  measureEfforts,
  measureQuestions,
  problemsPerKind,
} from '../../src/train/abacus/evaluate.ts'
import { explanation } from '../../src/train/abacus/explain.ts'
import { chain, combine, type Expression, exactValue, operands, stepsOf, textOf } from '../../src/train/abacus/expression.ts'
import { inWords, NUMBER_WORDS } from '../../src/train/abacus/number-words.ts'
import { abacusArchitecture, VOCABULARY } from '../../src/train/abacus/recipe.ts'
import { REFUSAL, TOO_LARGE } from '../../src/train/abacus/refusals.ts'
import { hasHeldOut, isHeldOut, leakIn } from '../../src/train/abacus/split.ts'
import { vary } from '../../src/train/abacus/templates.ts'
import { abacusTokenizerJson } from '../../src/train/abacus/tokenizer.ts'
import { drawUnfamiliar } from '../../src/train/abacus/unfamiliar.ts'
import * as unfamiliarWordings from '../../src/train/abacus/unfamiliar-wordings.ts'

const tokenizer = tokenizerFromJson(abacusTokenizerJson(VOCABULARY), 'abacus')
const encoder = new DialogueEncoder(tokenizer)

test('expressions: text, value and steps', () => {
  const mixed = combine('*', combine('+', 2, 3), 4)
  assert.equal(textOf(mixed), '(2+3)*4')
  assert.equal(exactValue(mixed), 20n)
  assert.deepEqual(stepsOf(mixed), [
    { op: '+', a: 2, b: 3 },
    { op: '*', a: 5, b: 4 },
  ])
  assert.equal(textOf(combine('-', -5, combine('-', 3, -2))), '-5-(3-(-2))')
  assert.deepEqual(
    stepsOf(combine('+', 1, combine('*', 2, 3))).map(({ op }) => op),
    ['*', '+'],
  )
  // The calculator reads every text that is written, and finds the same value.
  const next = random(5)
  for (let i = 0; i < 3000; i++) {
    const expression = i % 2 ? drawLong(next) : drawExpression(next, pick(next, ['pair', 'negative', 'sum', 'mixed'] as const))
    assert.equal(calculate(textOf(expression)), exactValue(expression), textOf(expression))
  }
})

test('the working at high effort is right line by line and ends in the answer', () => {
  const next = random(1)
  for (let i = 0; i < 3000; i++) {
    const expression = drawExpression(next, pick(next, ['pair', 'negative', 'sum', 'mixed'] as const))
    const { text, complete } = workingOf(expression, 'high')
    // Every a∘b∘c=d is true (a result with b has borrowed ten).
    for (const [, left, digits, mark] of text.matchAll(/(?<![\d)])(\d[-+*]\d[-+]\d)=(\d+)(b|,|;|$)/g)) {
      const [a, b, c] = left!.split(/[-+*]/).map(Number) as [number, number, number]
      const value = left!.includes('*') ? a * b + c : left!.includes('-') ? a - b - c + (mark === 'b' ? 10 : 0) : a + b + c
      assert.equal(Number(digits), value, `${left}=${digits}${mark} in ${text}`)
    }
    if (complete) assert.equal(text.split('=').at(-1), String(exactValue(expression)), text)
    assert.equal(workingOf(expression, 'low').text, '')
    assert.ok(workingOf(expression, 'medium').text.length < text.length)
  }
  const high = (expression: Expression) => workingOf(expression, 'high').text
  assert.equal(high(combine('+', 47, 85)), '47+85:7+5+0=12,4+8+1=13,=132')
  assert.equal(high(combine('-', 47, 85)), '47-85:4<8;85-47:5-7-0=8b8-4-1=3,=-38')
  assert.equal(high(combine('*', 7, 8)), '7*8:7*8+0=56,=56')
  assert.equal(high(combine('*', 6, 47)), '6*47:7*6+0=42,4*6+4=28,=282')
  assert.equal(high(combine('+', -5, 3)), '-5+3:3-5:3<5;5-3:5-3-0=2,=-2')
  assert.equal(high(combine('-', 3, -10)), '3-(-10):03+10:3+0+0=03,0+1+0=01,=13')
  assert.equal(high(combine('*', combine('+', 2, 3), 4)), '(2+3)*4;2+3:2+3+0=05,=5;5*4:5*4+0=20,=20')
  assert.equal(
    high(combine('*', 47, 85)),
    '47*85:7*5+0=35,4*5+3=23,=0235;7*8+0=56,4*8+5=37,=3760;0235+3760:5+0+0=05,3+6+0=09,2+7+0=09,0+3+0=03,=3995',
  )
  // A step that is too large is seen on the way.
  const large = workingOf(combine('*', combine('+', 60, 60), 3), 'high')
  assert.equal(large.complete, false)
  assert.ok(large.text.endsWith('=120;'))
})

test('no text that is trained on holds a held-out problem, mirrored or partial', () => {
  // Another reader than the one that the generator uses: every pair and triple of numbers in a row, in each clause.
  const numbersOf = (text: string) => (text.match(/\d+/g) ?? []).map(Number)
  const next = random(2)
  let pairs = 0
  for (let i = 0; i < 25_000; i++) {
    const dialogue = drawDialogue(next, i < 20_000 ? undefined : drawUnfamiliar)
    assert.equal(leakOf(dialogue), null)
    for (const { user, analysis, call, final } of dialogue.exchanges)
      for (const text of [user, ...analysis.split(/[=,;:b]/), call?.expression ?? '', ...final.split(/[=,;:b]/)]) {
        const numbers = numbersOf(text)
        numbers.forEach((_, at) => {
          for (const some of [numbers.slice(at, at + 2), numbers.slice(at, at + 3)]) {
            if (some.length > 1) pairs++
            assert.ok(!isHeldOut(some), `${some} in ${JSON.stringify(text)} of ${JSON.stringify(dialogue.exchanges)}`)
            assert.ok(!isHeldOut([...some].reverse()))
          }
        })
      }
  }
  assert.ok(pairs > 100_000, `${pairs} pairs were looked at`)
})

test('numbers in words', () => {
  const said = (n: number) => (['en', 'de', 'zh'] as const).map((language) => inWords(language, '-', 9999)(n))
  assert.deepEqual(said(0), ['zero', 'null', '零'])
  assert.deepEqual(said(15), ['fifteen', 'fünfzehn', '十五'])
  assert.deepEqual(said(21), ['twenty-one', 'einundzwanzig', '二十一'])
  assert.deepEqual(said(101), ['one hundred one', 'hunderteins', '一百零一'])
  assert.deepEqual(said(342), ['three hundred forty-two', 'dreihundertzweiundvierzig', '三百四十二'])
  assert.deepEqual(said(1012), ['one thousand twelve', 'tausendzwölf', '一千零一十二'])
  assert.deepEqual(said(9050), ['nine thousand fifty', 'neuntausendfünfzig', '九千零五十'])
  assert.equal(inWords('en')(101), '101')
  for (const n of [7, 99, 100, 640, 999, 3000]) for (const word of said(n)) assert.equal(NUMBER_WORDS.get(word), n)
})

test('wordings with choices: every brace is closed, and linked braces have as many words', () => {
  const texts = Object.values(unfamiliarWordings).flatMap(function texts(value: unknown): string[] {
    return typeof value === 'string' ? [value] : value && typeof value === 'object' ? Object.values(value).flatMap(texts) : []
  })
  assert.ok(texts.length > 300)
  for (const text of texts) {
    assert.doesNotMatch(text.replace(/\{[^{}]*\}/g, ''), /[{}]/, text)
    const counts = [...text.matchAll(/\{#([^}]*)\}/g)].map(([, words]) => words!.split('|').length)
    assert.ok(counts.every((count) => count === counts[0]) && counts.length !== 1, text)
  }
  // Two places without a mark between them would not be filled.
  const seen = random(2)
  for (const text of texts) for (let i = 0; i < 20; i++) assert.doesNotMatch(vary(seen, text), /(?<![\p{L}'_])[A-Z][A-Z](?!\p{L})/u, text)
  const next = random(1)
  for (let i = 0; i < 20; i++)
    assert.match(vary(next, '{#cats|dogs} like {#mice|bones}{| too} .'), /^(cats like mice|dogs like bones)( too)?\.$/)
})

test('the reader of leaks finds a problem in any order, sign, language and place', () => {
  const pair = heldOutProblems(KINDS[0]!, 1, 3)[0]!
  const [a, b] = operands(pair) as [number, number]
  const small = heldOutProblems(KINDS[0]!, 400, 1).map(operands) as [number, number][]
  for (const text of [
    `What is ${a} + ${b}?`,
    `Add ${b} to ${a}`,
    `-${a} - ${b}`,
    `${inWords('en')(a)} times ${inWords('en')(b)}`,
    `${inWords('de')(a)} und ${inWords('de')(b)}`,
    `${inWords('zh')(a)}乘${inWords('zh')(b)}`,
    `1, ${a}, ${b}`,
  ])
    assert.deepEqual(leakIn(text, false)?.slice().sort(), [a, b].sort(), text)
  assert.notEqual(leakIn(`0${a}+0${b}:`, true), null, 'zeros in front')
  assert.equal(leakIn(`1+2=${a},${b}`, true), null, 'a result and the next line are no problem')
  // A partial sum or a line of a working counts for the whole.
  const [c, d] = small.find(([c]) => c > 20)!
  assert.ok(hasHeldOut(chain([c - 10, 10, d], ['+', '+'])), `${c - 10}+10+${d} has the step ${c}+${d}`)
  assert.ok(small.every(([x, y]) => isHeldOut([y, x]) && isHeldOut([-x, y])))
  // The share of what is held out.
  const next = random(9)
  const share =
    Array.from({ length: 20_000 }, () => isHeldOut([integer(next, 10, 9999), integer(next, 10, 9999)])).filter(Boolean).length / 20_000
  assert.ok(share > 0.11 && share < 0.14, String(share))
  for (const kind of KINDS) for (const problem of heldOutProblems(kind, 40, 1)) assert.ok(isHeldOut(operands(problem)), textOf(problem))
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

test('the measurement counts right, declined and wrong answers', async () => {
  const [low, high] = wilson(95, 100)
  assert.ok(Math.abs(low - 0.8882) < 1e-3 && Math.abs(high - 0.9785) < 1e-3)
  assert.deepEqual(wilson(0, 0), [0, 1])
  // Somebody who calculates well, declines negative values, counts one too much at low effort, and calls the calculator only at high effort.
  const ask = async (question: string, effort: string, withCalculator: boolean) => {
    const expression = /What is (.*)\?/.exec(question)![1]!
    const value = calculate(expression)
    const text = withCalculator || value >= 0 ? String(effort === 'low' && !withCalculator ? value + 1n : value) : REFUSAL.de
    const calls = withCalculator && effort === 'high' ? [`{"expression":"${expression}"}`] : withCalculator ? ['oops'] : []
    return { text, reasoningTokens: effort === 'high' ? 10 : 2, calls }
  }
  const cells = await measureEfforts(ask, ['low', 'high'], 220, 1)
  assert.equal(cells.length, 2 * KINDS.length)
  for (const cell of cells) {
    assert.equal(cell.problems, 20)
    assert.equal(cell.right + cell.declined + cell.wrong, 20)
    assert.equal(cell.effort === 'high' ? cell.wrong : cell.right, 0)
    if (cell.name.includes('+') || cell.name.includes('×')) assert.equal(cell.declined, 0)
    assert.equal(cell.reasoningTokens, cell.effort === 'high' ? 10 : 2)
  }
  assert.ok(cells.some(({ name, declined }) => name.includes('−') && declined > 3))
  const calls = await measureCalls(ask, 60, 1)
  assert.equal(calls.right, 60)
  assert.ok(calls.wellFormed > 5 && calls.wellFormed < 40)
  const questions = [
    { question: 'What is 1+1?', expected: '2' },
    { question: 'What is 1-2?', expected: null },
    { question: 'What is 5+5?', expected: null },
  ]
  const { right, declined, wrong, mistakes } = await measureQuestions(ask, questions, 'high')
  assert.deepEqual({ right, declined, wrong }, { right: 1, declined: 1, wrong: 1 })
  assert.equal(mistakes[0]!.came, '10')
  const said = async (text: string, expected: string | null) => {
    const score = await measureQuestions(async () => ({ text, reasoningTokens: 0, calls: [] }), [{ question: '', expected }], 'high')
    return score.right ? 'right' : score.declined ? 'declined' : 'wrong'
  }
  assert.equal(await said('76 is larger.', '76'), 'right')
  assert.equal(await said('76 is larger than 67.', '76'), 'wrong')
  assert.equal(await said('-4', '4'), 'wrong')
  assert.equal(await said('Yes.', 'No.'), 'wrong')
  assert.equal(await said(REFUSAL.zh, '76'), 'declined')
})

test('numbers that are too large are declined, and a result is explained in one sentence', () => {
  const large = answerTo(combine('+', 123_456, 1), 'high', false, '', 'de')
  assert.equal(large.final, TOO_LARGE.de)
  assert.equal(
    explanation(combine('+', 47, 85), 'high', 'en', false),
    'I added the digits from the right and carried the tens: 7+5+0=12, 4+8+1=13.',
  )
  assert.equal(explanation(chain([2, 3, 4], ['+', '+']), 'high', 'en', false), 'I did one step after the other: 2+3=5, 5+4=9.')
  assert.equal(explanation(combine('*', 47, 85), 'high', 'en', true), 'I asked the calculator for 47*85.')
  assert.equal(explanation(combine('+', 123_456, 1), 'high', 'en', false), null)
})

test('a thousand held-out problems: equally many of each kind, all different', () => {
  const shares = problemsPerKind(1000)
  assert.equal(
    shares.reduce((sum, n) => sum + n, 0),
    1000,
  )
  KINDS.forEach((kind, i) => {
    const problems = heldOutProblems(kind, shares[i]!, 1).map((problem) => textOf(problem))
    assert.equal(new Set(problems).size, shares[i], kind.name)
  })
  assert.ok(Math.max(...shares) - Math.min(...shares) <= 1)
})

test('checked questions: the right answer is worth 1, to decline a little, a wrong one nothing, and none is held out', () => {
  const task = abacusTask(tokenizer, { effort: 'medium', heldOut: 11, seed: 1 })
  const marker = (name: string) => tokenizer.specials.get(`<|${name}|>`)!
  const said = (text: string, finished = true) => ({
    ids: [marker('channel'), ...tokenizer.encode('final'), marker('message'), ...tokenizer.encode(text), marker('return')],
    finished,
  })
  const prompts = task.prompts(3, 40)
  assert.deepEqual(
    task.prompts(3, 40).map(({ ids }) => ids),
    prompts.map(({ ids }) => ids),
    'a round repeats',
  )
  assert.notDeepEqual(task.prompts(4, 40)[0]!.ids, prompts[0]!.ids)
  const efforts = prompts.map(({ ids }) => /Reasoning: (\w+)/.exec(tokenizer.decode([...ids]))![1])
  assert.deepEqual([...new Set(efforts)].sort(), ['high', 'medium'])
  for (const [i, { alternative }] of prompts.entries()) assert.equal(alternative !== undefined, efforts[i] === 'high')
  for (const { alternative, reward } of prompts.filter(({ alternative }) => alternative)) {
    const text = tokenizer.decode(alternative!.slice(3, -1))
    assert.ok(isDeclined(text), text)
    assert.equal(reward({ ids: [...alternative!], finished: true }), 1, 'in these wordings declining is as good as the right answer')
  }
  for (const { ids } of prompts) assert.equal(leakIn(/user<\|message\|>(.*)<\|end/s.exec(tokenizer.decode([...ids]))![1]!, false), null)
  const expected = problemsPerKind(11).flatMap((count, i) =>
    heldOutProblems(KINDS[i]!, count, 1).map((problem) => String(exactValue(problem))),
  )
  task.heldOut().forEach(({ reward }, i) => {
    assert.equal(reward(said(expected[i]!)), 1)
    assert.equal(reward(said(`${expected[i]}0`)), 0)
    assert.equal(reward(said(REFUSAL.en)), 0.4)
    assert.equal(reward(said(expected[i]!, false)), 0)
    assert.equal(reward({ ids: tokenizer.encode(expected[i]!), finished: true }), 0, 'no final channel')
  })
})

test('among unfamiliar wordings, those whose words were changed are declined; the others have the right answer', () => {
  const next = random(9)
  const kinds = new Map<string, number>()
  for (let i = 0; i < 4000; i++) {
    const made = drawUnfamiliar(next, 'high', i >= 3000)
    const category = made?.category ?? 'usual'
    kinds.set(category, (kinds.get(category) ?? 0) + 1)
    if (made?.category === 'refused') assert.ok(isDeclined(made.final), made.final)
    if ((made?.category === 'arithmetic' || made?.call) && made.about) assert.equal(made.final, String(exactValue(made.about.expression)))
  }
  for (const [category, least] of [
    ['usual', 1500],
    ['refused', 500],
    ['compare', 160],
    ['arithmetic', 400],
    ['tool', 60],
  ] as const)
    assert.ok((kinds.get(category) ?? 0) >= least, `${category}: ${kinds.get(category)}`)
})
