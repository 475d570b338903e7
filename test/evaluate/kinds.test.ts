/** Every kind of task on a scripted subject, whose answers are known: metrics, intervals, repeats, efforts, order of options, errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadTask } from '../../src/evaluate/data-node.ts'
import { type EvaluateOptions, evaluate } from '../../src/evaluate/evaluate.ts'
import { wordsOf } from '../../src/evaluate/kinds/likelihood.ts'
import { gradeIn } from '../../src/evaluate/kinds/rubric.ts'
import type { Outcome } from '../../src/evaluate/plan.ts'
import { bootstrap, passAtK, wilson } from '../../src/numbers/statistics.ts'
import { byId, lines, promptOf, scripted, taskOf } from './subjects.ts'

const silent = () => assert.fail('nothing is generated')
const metricsOf = ({ summaries }: Awaited<ReturnType<typeof evaluate>>, i = 0) =>
  Object.fromEntries(summaries[i]!.metrics.map(({ name, value }) => [name, value]))

test('choices: raw, per character, per byte and per token', async () => {
  // The scripted log-likelihood is minus the characters of blank and choice.
  const records = [
    { q: 'a', c: ['x', 'longer'], a: 0 },
    { q: 'b', c: ['ää ää', 'xxxxxx xxxxxxx'], a: 1 },
    { q: 'c', c: ['two words', 'one'], a: 'two words' },
  ]
  const task = taskOf({ kind: 'choices', prompt: '{{ q }}', choices: 'c', answer: 'a' })
  const evaluation = await evaluate(task, scripted(silent), { data: [lines(records)] })
  const all = byId(evaluation.outcomes)
  assert.deepEqual(all[0]!.logprobs, [-2, -7])
  const right = (id: number) => ['acc', 'acc_norm', 'acc_bytes', 'acc_tokens'].map((name) => all[id]![name])
  // -2/1 against -7/6: the longer one wins per character.
  assert.deepEqual(right(0), [1, 0, 0, 1])
  // -6/5 against -15/14 per character, -6/9 against -15/14 per byte.
  assert.deepEqual(right(1), [0, 1, 0, 0])
  // -10/9 against -4/3; per token -10/3 against -4/2.
  assert.deepEqual(right(2), [0, 1, 1, 0])
  const [acc] = evaluation.summaries[0]!.metrics
  assert.deepEqual([acc!.value, acc!.interval, acc!.by], [1 / 3, wilson(1, 3), 'wilson'])
})

test('a subject without a number of requests is asked one after another; a wrong number is named', async () => {
  const { parallel: _, ...subject } = scripted(() => '')
  const task = taskOf({ kind: 'last-word', prompt: '{{ t }}', target: '{{ w }}' })
  const data = [
    lines([
      { t: 'one', w: ' two' },
      { t: 'two', w: ' three' },
    ]),
  ]
  assert.equal((await evaluate(task, subject, { data })).outcomes.length, 2)
  await assert.rejects(evaluate(task, subject, { data, parallel: 0 }), /parallel: expected an integer from 1, got 0/)
})

test('pairs, groups, records that are left out, items that cannot be scored', async () => {
  const records = [
    { good: 'a', bad: 'bb', kind: 'one' },
    { good: 'aaa', bad: 'bb', kind: 'one' },
    { good: 'a', bad: 'unscorable', kind: 'two' },
    { good: 'aaa', bad: 'bb', kind: 'no' },
  ]
  const task = taskOf({ kind: 'pairs', good: '{{ good }}', bad: '{{ bad }}', group: '{{ kind }}', where: "kind != 'no'" })
  const { summaries, outcomes, total } = await evaluate(task, scripted(silent), { data: [lines(records)] })
  assert.deepEqual([total, outcomes.length], [3, 3])
  assert.deepEqual(
    summaries.map(({ group, items, failed, metrics }) => [group, items, failed, metrics[0]!.value]),
    [
      [undefined, 3, 1, 1 / 3],
      ['one', 2, 0, 1 / 2],
      ['two', 1, 1, 0],
    ],
  )
  assert.equal(byId(outcomes)[2]!.error, 'too long')
})

test('last words and whole texts', async () => {
  const words = taskOf({ kind: 'last-word', prompt: '{{ t }}', target: '{{ w }}' })
  const greedy = metricsOf(
    await evaluate(words, scripted(silent), {
      data: [
        lines([
          { t: '', w: ' ab' },
          { t: '', w: 'c' },
        ]),
      ],
    }),
  )
  assert.deepEqual([greedy.acc, greedy.perplexity], [0.5, Math.exp(2)])

  const texts = [
    { text: 'ab c', raw: 'ab  c d' },
    { text: 'é', raw: ' e' },
  ]
  const rolling = await evaluate(taskOf({ kind: 'rolling', counted: '{{ raw }}' }), scripted(silent), { data: [lines(texts)] })
  const bits = metricsOf(rolling)
  assert.deepEqual(
    [bits.word_perplexity, bits.byte_perplexity, bits.bits_per_byte, bits.token_perplexity].map((x) => x!.toFixed(9)),
    [Math.exp(5 / 5), Math.exp(5 / 9), 5 / 9 / Math.LN2, Math.exp(5 / 3)].map((x) => x.toFixed(9)),
  )
  const joined = await evaluate(taskOf({ kind: 'rolling', join: '\n\n' }), scripted(silent), { data: [lines(texts)] })
  assert.deepEqual([joined.total, joined.outcomes[0]!.logprob], [1, -7])
  // Results of another number of records are those of another text; of the same number they are taken.
  const task = taskOf({ kind: 'rolling', join: '\n\n' })
  const short = await evaluate(task, scripted(silent), { data: [lines(texts)], limit: 1 })
  const longer = await evaluate(task, scripted(silent), { data: [lines(texts)], earlier: short.outcomes })
  assert.deepEqual([short.outcomes[0]!.logprob, longer.outcomes], [-4, joined.outcomes])
  const earlier = [...joined.outcomes, { ...short.outcomes[0]!, logprob: -99 }]
  const again = await evaluate(task, scripted(silent), { data: [lines(texts)], limit: 1, earlier })
  assert.equal(again.outcomes[0]!.logprob, -99)
  assert.deepEqual(['a b', ' a b ', '', 'a\u00a0b'].map(wordsOf), [2, 4, 1, 2])
})

test('generation: repeats, majority, pass@k, costs, and answers that are missing or cut', async () => {
  const records = [
    { q: '1 + 1', a: 2 },
    { q: '2 + 2', a: 4 },
    { q: '3 + 3', a: 6 },
  ]
  const answers: Record<string, string[]> = {
    '1 + 1': ['= 2', '= 3', '2.0'],
    '2 + 2': ['5', '4', 'no idea'],
    '3 + 3': ['…', 'refused', '7'],
  }
  const subject = scripted((prompt) => answers[prompt]!.shift()!, 1)
  const task = taskOf({ kind: 'generate', prompt: '{{ q }}', extract: 'number', answer: 'a', compare: 'number', repeats: 3 })
  const evaluation = await evaluate(task, subject, { data: [lines(records)] })
  const metrics = metricsOf(evaluation)
  assert.equal(metrics['avg@3'], 3 / 9)
  // 2 and 2.0 are one answer; of 5 and 4 the first counts.
  assert.equal(metrics['maj@3'], 1 / 3)
  assert.equal(metrics['pass@3'], 2 / 3)
  assert.ok(Math.abs(metrics['pass@2']! - (1 + 2 / 3) / 3) < 1e-12)
  assert.equal(metrics.no_answer, 3 / 9)
  assert.equal(metrics.cut, 1 / 9)
  assert.equal(evaluation.summaries[0]!.failed, 1)
  assert.equal(evaluation.summaries[0]!.items, 3)
  const avg = evaluation.summaries[0]!.metrics[0]!
  assert.ok(avg.by === 'bootstrap' && avg.interval![0] <= avg.value && avg.value <= avg.interval![1])
})

test('efforts, sampling and limits reach the subject; options change places by seed and repeat, and the letter follows', async () => {
  const records = Array.from({ length: 12 }, (_, i) => ({ Q: `q${i}`, o: ['right', 'wrong 1', 'wrong 2', 'wrong 3'] }))
  const subject = scripted((prompt) => `Answer: ${prompt.charAt(prompt.indexOf(' right') - 1)}`)
  const task = taskOf({
    kind: 'generate',
    prompt: '{{ Q }}: A {{ options[0] }} B {{ options[1] }} C {{ options[2] }} D {{ options[3] }}',
    options: 'o',
    extract: 'letter',
    temperature: 0.5,
    maxTokens: 7,
    stop: ['#'],
    system: 'Be {{ Q }}.',
  })
  const options: EvaluateOptions = { data: [lines(records)], efforts: ['low', 'high'], repeats: 2, seed: 3 }
  const evaluation = await evaluate(task, subject, options)
  assert.deepEqual(
    evaluation.summaries.map(({ effort, metrics }) => [effort, metrics[0]!.name, metrics[0]!.value]),
    [
      ['low', 'avg@2', 1],
      ['high', 'avg@2', 1],
    ],
  )
  const letters = new Set(evaluation.outcomes.map(({ answer }) => answer))
  assert.equal(letters.size, 4, 'the right option stands at every place')
  const [request] = subject.asked
  assert.deepEqual([request!.maxTokens, request!.stop, request!.effort, request!.sampling!.temperature], [7, ['#'], 'low', 0.5])
  assert.match(promptOf(request!), /^Be q0\.\nq0: A /)
  assert.equal(new Set(subject.asked.map(({ sampling }) => sampling!.seed)).size, 24, 'one seed for each question and repeat')
  const again = await evaluate(
    task,
    scripted(() => 'Answer: A'),
    options,
  )
  const answersOf = (outcomes: readonly Outcome[]) =>
    outcomes.map(({ id, repeat, effort, answer }) => `${id} ${repeat} ${effort} ${answer}`).sort()
  assert.deepEqual(answersOf(again.outcomes), answersOf(evaluation.outcomes))
  assert.notDeepEqual(
    answersOf(
      (
        await evaluate(
          task,
          scripted(() => 'Answer: A'),
          { ...options, seed: 4 },
        )
      ).outcomes,
    ),
    answersOf(again.outcomes),
  )
})

test('solved examples: before each prompt, of the same group, as many as asked for', async () => {
  const shots = lines(
    [
      { s: 'x', q: 'p1', a: 1 },
      { s: 'y', q: 'p2', a: 0 },
      { s: 'x', q: 'p3', a: 1 },
    ],
    'dev.jsonl',
  )
  const seen: string[] = []
  const score = async (context: string) => {
    seen.push(context)
    return { logprob: -1, greedy: true, tokens: 1 }
  }
  const subject = { ...scripted(silent), score }
  const task = taskOf({
    kind: 'choices',
    preface: 'About {{ s }}.\n\n',
    prompt: '{{ q }}?',
    choices: ['no', 'yes'],
    answer: 'a',
    shots: { count: 2, match: 's' },
  })
  await evaluate(task, subject, { data: [lines([{ s: 'x', q: 'q', a: 0 }])], shots: [shots] })
  assert.deepEqual(seen, Array(2).fill('About x.\n\np1? yes\n\np3? yes\n\nq?'))
  await assert.rejects(
    evaluate(task, subject, { data: [lines([{ s: 'y', q: 'q', a: 0 }])], shots: [shots] }),
    /expected 2 solved examples of the same s, found 1/,
  )
})

test('programs: answered as code or as a continuation, run by the sandbox, or kept for the official scorer', async () => {
  const records = [{ task_id: 'H/0', prompt: 'def f():\n    """Five."""\n', entry_point: 'f', test: 'assert f() == 5' }]
  const programs: string[] = []
  const sandbox = async (program: string) => {
    programs.push(program)
    return { passed: programs.length === 1, output: 'oops' }
  }
  for (const [name, answer, completion] of [
    ['humaneval', '    return 5', '    return 5'],
    ['humaneval-chat', 'Here:\n```python\ndef f():\n    return 5\n```', '\n    pass\n\n\ndef f():\n    return 5\n'],
    ['humaneval-chat', '```python\n    return 5\n```', '    return 5\n'],
    ['humaneval-chat', '```py\ndef f():\n    return 5\n```\n```py\nprint(f())\n```', '\n    pass\n\n\ndef f():\n    return 5\n'],
  ] as const) {
    const task = await loadTask(name)
    const { outcomes, summaries } = await evaluate(
      task,
      scripted(() => answer),
      { data: [lines(records)], sandbox },
    )
    assert.deepEqual([outcomes[0]!.id, outcomes[0]!.completion], ['H/0', completion])
    assert.deepEqual([summaries[0]!.metrics[0]!.name, summaries[0]!.metrics[0]!.value], ['pass@1', programs.length === 1 ? 1 : 0])
    assert.equal(programs.at(-1), `${records[0]!.prompt}${completion}\nassert f() == 5\ncheck(f)\n`)
    const unscored = await evaluate(
      task,
      scripted(() => answer),
      { data: [lines(records)] },
    )
    assert.deepEqual([unscored.outcomes[0]!.passed, unscored.summaries[0]!.metrics[0]!.name], [undefined, 'tokens'])
  }
})

test('rubrics: points of the criteria that are met by the positive points; a grader that writes no grade is asked again', async () => {
  const rubrics = [
    { criterion: 'is kind', points: 6 },
    { criterion: 'is long', points: 4 },
    { criterion: 'is wrong', points: -3 },
  ]
  const records = [
    { prompt_id: 'p', prompt: [{ role: 'user', content: 'Help <<rubric_item>>' }], rubrics },
    { prompt_id: 'r', prompt: [{ role: 'user', content: 'refused' }], rubrics },
  ]
  let calls = 0
  const grader = scripted((prompt) => {
    calls++
    if (calls === 1) return 'I think so.'
    assert.match(prompt, /# Conversation\nuser: (Help <<rubric_item>>|refused)\n\nassistant: /)
    return `\`\`\`json\n{"explanation": "x", "criteria_met": ${!/# Rubric item\n\[4\] is long/.test(prompt)}}\n\`\`\``
  })
  const subject = scripted((prompt) => (prompt === 'refused' ? 'refused' : 'Sure.'))
  const evaluation = await evaluate(await loadTask('healthbench'), subject, { data: [lines(records)], grader })
  assert.deepEqual(byId(evaluation.outcomes).p!.met, [true, false, true])
  assert.deepEqual([calls, byId(evaluation.outcomes).p!.score, metricsOf(evaluation).score], [4, 0.3, 0.15])
  const silentGrader = await evaluate(await loadTask('healthbench'), subject, {
    data: [lines(records.slice(0, 1))],
    grader: scripted(() => '{}'),
  })
  assert.match(String(silentGrader.outcomes[0]!.error), /"criteria_met"/)
  assert.deepEqual(['{"criteria_met": true}', 'x {"criteria_met": "yes"}', 'no', '{'].map(gradeIn), [true, undefined, undefined, undefined])
})

test('a run that is interrupted keeps what it has and goes on with the same answers; errors of items are tried again', async () => {
  const records = Array.from({ length: 20 }, (_, i) => ({ q: `q${i}`, a: i }))
  const task = taskOf({ kind: 'generate', prompt: '{{ q }}', extract: 'number', answer: 'a', compare: 'number' })
  const answer = (prompt: string) => prompt.slice(1)
  const data = [lines(records)]
  const controller = new AbortController()
  const kept: Outcome[] = []
  const first = await evaluate(
    task,
    scripted((prompt) => (prompt === 'q3' ? 'refused' : answer(prompt))),
    {
      data,
      signal: controller.signal,
      onOutcome(outcome, { done, total }) {
        assert.equal(total, 20)
        kept.push(outcome)
        if (done === 7) controller.abort(new Error('enough'))
      },
    },
  )
  assert.match(String(first.interrupted), /enough/)
  assert.ok(kept.length >= 7 && kept.length < 20)
  const subject = scripted(answer)
  const second = await evaluate(task, subject, { data, earlier: kept })
  assert.deepEqual([second.interrupted, second.outcomes.length, metricsOf(second).acc], [undefined, 20, 1])
  assert.equal(subject.asked.length, 20 - kept.length + 1)

  // An error of the subject itself ends the run, with what was measured.
  const broken = await evaluate(
    task,
    scripted((prompt) => (prompt === 'q9' ? Promise.reject(new Error('socket')) : answer(prompt)), 2),
    { data },
  )
  assert.match(String(broken.interrupted), /socket/)
  assert.ok(broken.outcomes.length >= 8 && broken.outcomes.length < 20)
})

test('intervals', () => {
  assert.deepEqual(wilson(0, 0), [0, 1])
  const [low, high] = wilson(8, 10)
  assert.ok(Math.abs(low - 0.4901625) < 1e-6 && Math.abs(high - 0.9433178) < 1e-6)
  assert.equal(
    bootstrap([1], () => 1),
    undefined,
  )
  const values = Array.from({ length: 400 }, (_, i) => i % 2)
  const [from, to] = bootstrap(values, (some) => some.reduce((a, b) => a + b, 0) / some.length)!
  assert.ok(Math.abs(from - 0.451) < 0.01 && Math.abs(to - 0.549) < 0.01, `${from} ${to}`)
  assert.deepEqual(
    [passAtK(5, 0, 2), passAtK(5, 5, 2), passAtK(5, 1, 1).toFixed(6), passAtK(4, 2, 2).toFixed(6)],
    [0, 1, '0.200000', (5 / 6).toFixed(6)],
  )
})
