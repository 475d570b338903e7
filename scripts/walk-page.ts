/**
 * Writes docs/walk.md: one real token of the embedded model through the ten stops, with the shapes and values that the probe
 * reports. Deterministic (reference backend, greedy); a test writes it again and compares.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { multiHeadOf, windowOf } from '../src/architecture/slots.ts'
import { type AttentionMap, createProbe, type ExpertChoice, type NamedResult } from '../src/inspect/probe.ts'
import { loadModel, type Model } from '../src/load-model-node.ts'
import { forward, logits } from '../src/model/transformer.ts'
import { root } from './sources.ts'
import { QUESTION, trip } from './trip.ts'
import { delegated, extent, STOPS } from './walk.ts'

const rms = (values: Float32Array): string => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length).toFixed(2)
const grouped = (count: number): string => count.toLocaleString('en-US')
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')
const list = (values: Float32Array, count: number): string =>
  `${Array.from(values.subarray(0, count), (value) => value.toFixed(2)).join(', ')}, …`

/** The page as text. */
export async function walkPage(): Promise<string> {
  const model = await loadModel(join(root, 'models', 'abacus'), { backend: 'reference', context: 512 })
  try {
    return await write(model)
  } finally {
    await model.dispose()
  }
}

async function write({ architecture, weights, backend, engine, tokenizer, format }: Model): Promise<string> {
  const prompt = format.render([{ role: 'user', content: QUESTION }], {})
  const { ids: answer } = await engine.generate(prompt, { sampling: { temperature: 0 }, stopIds: format.stopIds, maxTokens: 200 }).result
  const spell = (id: number): string => {
    const text = JSON.stringify(tokenizer.decode([id]))
      .slice(1, -1)
      .replaceAll('`', "'")
    return `\`${text.length > 30 ? `${text.slice(0, 27)}…` : text}\``
  }
  // The followed row is the one that decides the first token of the final answer.
  const message = tokenizer.specials.get('<|message|>')!
  const upTo = answer.lastIndexOf(message) + 1
  const ids = [...prompt, ...answer.slice(0, upTo)]
  const T = ids.length
  const last = T - 1
  const batch = { ids: Int32Array.from(ids), slots: new Int32Array(T), positions: Int32Array.from(ids.keys()) }
  const probe = createProbe(backend)
  forward(probe, architecture, weights, batch)
  const seen = await probe.observations()
  const { hiddenSize: D, layers, vocabSize: V } = architecture
  const result = (name: string): Float32Array => {
    const found = seen.find((each): each is NamedResult => each.kind === 'result' && each.name === name)!
    return found.values.subarray(last * found.shape[1]!, (last + 1) * found.shape[1]!)
  }
  const maps = seen.filter((each): each is AttentionMap => each.kind === 'attention')
  const choices = seen.filter((each): each is ExpertChoice => each.kind === 'experts')
  const slot = multiHeadOf(architecture)
  const moe = layers[0]!.feedForward

  /** What the model would say if it ended after this layer: final norm and output matrix on its result. */
  const lens = async (values: Float32Array): Promise<string> => {
    const [first] = likeliest(await backend.run(() => logits(backend, architecture, weights, backend.upload(values, [1, D]))), 1)
    return `${spell(first!.id)} ${percent(first!.p)}`
  }
  const residual = [['embedding', rms(result('embedding')), '', await lens(result('embedding'))]]
  for (const index of layers.keys()) {
    const branches = `${rms(result(`layers.${index}.attention`))} + ${rms(result(`layers.${index}.feedForward`))}`
    residual.push([`layer ${index}`, rms(result(`layers.${index}`)), branches, await lens(result(`layers.${index}`))])
  }
  const best = likeliest(result('logits'), 5)
  const chosen = answer[upTo]!

  const heads = maps.flatMap((map, layer) =>
    map.rows[last]!.map(({ first, p }, head) => {
      const order = Array.from(p.keys())
        .sort((a, b) => p[b]! - p[a]!)
        .slice(0, 3)
        .map((index) => `${spell(ids[first + index]!)} at ${first + index}: ${percent(p[index]!)}`)
      return {
        layer,
        head,
        cells: [`${layer}`, `${head}`, first ? `${first} to ${last}` : 'all', order.join(', '), percent(map.sinkMass[last]![head]!)],
      }
    }),
  )
  const focus = heads.map(({ layer, head }) => ({
    layer,
    head,
    row: maps[layer]!.rows[last]![head]!,
    sink: maps[layer]!.sinkMass[last]![head]!,
  }))
  const sharpest = focus.reduce((a, b) => (Math.max(...b.row.p) > Math.max(...a.row.p) ? b : a))
  const top = Array.from(sharpest.row.p.keys())
    .sort((a, b) => sharpest.row.p[b]! - sharpest.row.p[a]!)
    .slice(0, 5)
  const sum = sharpest.row.p.reduce((total, share) => total + share, 0)

  const parser = format.parser(prompt, {})
  const events = [...answer.flatMap((id) => parser.push(id)), ...parser.end()]
  const parts = events.flatMap((event) => {
    if (event.type === 'reasoning-end') return [['reasoning', `\`${event.text}\``]]
    if (event.type === 'text-end') return [['answer', `\`${event.text}\``]]
    return []
  })

  const ran = trip()
  const under = delegated(ran).stops
  const link = (path: string): string => `[\`${path.replace(/^src\//, '')}\`](../${path})`
  const stop = (number: number, title: string): string => {
    const { file } = STOPS[number - 1]!
    const others = under[number - 1]!
    // Which kernels run depends on the machine.
    const shown = others.some((path) => path.startsWith('src/ops/wasm/')) ? ['src/ops/wasm/'] : others
    const note = number === 7 ? ', which does the same with vectors and threads' : ''
    return `## ${number}. ${title}\n\n[\`${file}\`](../${file})${shown.length > 0 ? `\n\nDelegates to ${shown.map(link).join(', ')}${note}.` : ''}`
  }
  const { files, lines, onTheWay, linesOnTheWay } = extent(ran)
  return `${[
    '# One token in ten stops',
    `This page follows one token of the embedded model \`abacus\` (${count(layers.length)} layers of width ${D}, in the architecture of gpt-oss) from a typed line to the answer. ` +
      'Every number below was reported by the running code: `node scripts/walk-page.ts` writes this page, and a test compares.',
    `The ten files are the places to stand at, not all that happens: under each stands what it delegates to when this question is asked. One question runs functions of ${grouped(files)} files of \`src/\`, ${grouped(lines)} lines of them; without loading the model and the kernels ${grouped(onTheWay)} files and ${grouped(linesOnTheWay)} lines (\`node scripts/walk.ts\` counts them).`,
    stop(1, 'A line is typed'),
    `Somebody types \`${QUESTION}\` into \`lineage chat\`.`,
    stop(2, 'It becomes a conversation'),
    `The model was trained on conversations in the harmony format, so the line is put into one, with the reasoning effort that its chat template names, \`${format.capabilities.defaultEffort}\`. The model is to go on where it ends:\n\n\`\`\`\n${tokenizer.decode(prompt)}\n\`\`\``,
    stop(3, 'Text becomes ids'),
    `The prompt is ${prompt.length} ids. Spellings such as \`<|message|>\` become single ids only because the format put them there; typed by a person they would stay text. The question:\n\n${table(
      ['text', ...tokenizer.encode(QUESTION).map(spell)],
      [['id', ...tokenizer.encode(QUESTION).map(String)]],
    )}`,
    stop(4, 'The engine schedules it'),
    `The prompt goes through the model in one call of ${prompt.length} rows; from then on every call has one row, the id that was just chosen, while keys and values of earlier rows wait in the cache. ` +
      `The model has answered ${upTo} ids so far: \`${tokenizer.decode(answer.slice(0, upTo)).replaceAll('\n', '\\n')}\`. We follow row ${last}, the id ${ids[last]} (${spell(ids[last]!)}), because what comes after it is the first digit of the answer.`,
    stop(5, 'Through the layers'),
    `The id selects a row of the embedding table, ${D} numbers: ${list(result('embedding'), 6)} Each layer adds the result of its attention and of its feed-forward to them. ` +
      `The sizes are root mean squares; the last column says what the model would answer if it ended there.\n\n${table(['after', 'size', 'added by attention + feed-forward', 'would say'], residual)}`,
    stop(6, 'Looking back'),
    `The ${D} numbers are projected to ${slot.heads} queries of ${slot.headDim}, and to ${slot.kvHeads} keys and values of ${slot.headDim} that ${slot.heads / slot.kvHeads} queries share each; queries and keys are rotated by their position. ` +
      `Every other layer sees the last ${layers.map(windowOf).find((window) => window)} tokens only. Where row ${last} looks, the three strongest tokens of each head, and what goes to the head's sink, that is to nothing:\n\n${table(
        ['layer', 'head', 'sees', 'looks at', 'sink'],
        heads.map(({ cells }) => cells),
      )}`,
    stop(7, 'The arithmetic of it'),
    `A score is the dot product of query and key times ${slot.scale.toFixed(4)} (1/√${slot.headDim}); the softmax of the scores mixes the values, and the sink's logit joins its denominator only. ` +
      `The sharpest head here is head ${sharpest.head} of layer ${sharpest.layer}; its scores are shown relative to the largest:\n\n${table(
        ['token', 'position', 'score', 'probability'],
        top.map((index) => [
          spell(ids[sharpest.row.first + index]!),
          String(sharpest.row.first + index),
          Math.log(sharpest.row.p[index]! / sharpest.row.p[top[0]!]!).toFixed(2),
          sharpest.row.p[index]!.toFixed(4),
        ]),
      )}\n\nAll its probabilities sum to ${sum.toFixed(4)}, the sink has the remaining ${sharpest.sink.toFixed(4)}.`,
    stop(8, 'A few experts'),
    moe.kind === 'moe'
      ? `Each layer has ${moe.experts} experts, of which the router picks ${moe.expertsPerToken} for each token. Row ${last}, and how many of the ${T} rows each expert got:\n\n${table(
          ['layer', 'experts chosen', 'their weights', 'load of all experts'],
          choices.map((choice, layer) => [
            String(layer),
            choice.chosen[last]!.join(', '),
            choice.weights[last]!.map((weight) => weight.toFixed(3)).join(', '),
            choice.load.join(', '),
          ]),
        )}`
      : '',
    stop(9, 'A choice'),
    `The last norm and the output matrix make ${V} logits of the ${D} numbers. At temperature 0 the largest wins; otherwise one is drawn by these probabilities:\n\n${table(
      ['token', 'logit', 'probability'],
      best.map(({ id, p }) => [spell(id), result('logits')[id]!.toFixed(2), p.toFixed(4)]),
    )}\n\nChosen: ${spell(chosen)}.`,
    stop(10, 'Read back'),
    `The ids of the whole answer are \`${tokenizer.decode(answer).replaceAll('\n', '\\n')}\`. The parser turns them into events as they come:\n\n${table(['part', 'text'], parts)}`,
  ]
    .filter(Boolean)
    .join('\n\n')}\n`
}

function likeliest(logits: Float32Array, top: number): { id: number; p: number }[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0)
  return Array.from(logits.keys())
    .sort((a, b) => logits[b]! - logits[a]!)
    .slice(0, top)
    .map((id) => ({ id, p: Math.exp(logits[id]! - largest) / sum }))
}

const count = (n: number): string => ['no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'][n] ?? String(n)

if (import.meta.main) {
  writeFileSync(join(root, 'docs', 'walk.md'), await walkPage())
  console.log('docs/walk.md')
}
