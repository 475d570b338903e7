/**
 * Writes docs/steps.md: the steps from GPT-2 to gpt-oss, one section per step with idea, formula, what changes in the architecture and
 * what it costs. Differences and costs come from the code; a test writes the page again and compares.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Architecture } from '../src/architecture/architecture.ts'
import { preset } from '../src/architecture/presets.ts'
import { steps, walkSteps } from '../src/architecture/steps.ts'
import { type Account, account } from '../src/compare/account.ts'
import { difference } from '../src/compare/difference.ts'
import { root } from './sources.ts'

const START = 'gpt2'
const CONTEXT = 1024

/** What a step means: an explanation, and the formula in the letters of src/ops/ops.ts. */
const TEXTS: Record<string, { idea: string; formula: string }> = {
  'no-dropout': {
    idea:
      'GPT-2 zeroes a tenth of its values at random while training: after the embedding, in the attention probabilities, and where a branch joins the residual stream. This guards against ' +
      'memorising data that is seen many times. Large models see almost every token once; there is nothing to memorise away, and hidden values are lost work.',
    formula: 'dropout(x)ᵢ = xᵢ / (1 − p) with probability 1 − p, else 0        p: 0.1 -> 0',
  },
  rmsnorm: {
    idea:
      'Norms keep the size of activations in range. LayerNorm subtracts the mean, divides by the standard deviation, scales and shifts. RMSNorm only divides by the root mean square and scales: ' +
      'one reduction over the row instead of two, one vector instead of two.',
    formula: 'LayerNorm(x) = (x − mean(x)) / √(var(x) + ε) · g + b\nRMSNorm(x)   = x / √(mean(x²) + ε) · g',
  },
  rope: {
    idea:
      'GPT-2 adds a learned vector per position to every token, so position 1,024 does not exist. A rotary embedding turns pairs of query and key dimensions by an angle proportional to the position. ' +
      'The product of a rotated query and a rotated key depends on their distance alone, no parameters are needed, and nothing ends at a fixed length.',
    formula: 'fᵢ = θ^(−2i/K)\n(xᵢ, xᵢ₊ₖ/₂) -> rotated by position · fᵢ\n⟨R(m) q, R(n) k⟩ depends on m − n only',
  },
  swiglu: {
    idea:
      'The feed-forward of GPT-2 widens, bends and narrows. A gated one computes two wide projections and multiplies them, one through SiLU: the network can switch features on and off. ' +
      'Three matrices of two thirds of the width have as many parameters as two of the full width. The biases go with it, as in the paper.',
    formula: 'MLP(x)    = W₂ · gelu(W₁ x + b₁) + b₂\nSwiGLU(x) = W_down · (silu(W_gate x) ∘ (W_up x))        silu(z) = z · σ(z)',
  },
  'no-biases': {
    idea:
      'The bias of the key projection cancels in a plain softmax, because it adds the same number to every score of a row, and the bias of the values can be moved to the output. PaLM left all biases out ' +
      'and trained more steadily; most models since follow. With rotary positions the cancellation no longer holds (`lineage verify C42`), and gpt-oss takes the biases back.',
    formula: 'softmax over s of q·(kₛ + b) = softmax over s of q·kₛ        (without rotation and sink)',
  },
  gqa: {
    idea:
      'Every generated token reads the keys and values of all earlier ones. When a group of query heads shares one key and one value head, this cache shrinks by the size of the group, and so does the traffic, ' +
      'while the number of queries stays.',
    formula: 'query head h reads key/value head ⌊h · G / H⌋\ncache per token and layer: 2 · G · K values instead of 2 · H · K',
  },
  'sliding-window': {
    idea:
      'In every other layer a token sees only the last 128 tokens, itself included. Information from further back still arrives through the full layers between. Sliding layers need neither memory nor work that ' +
      'grows with the text.',
    formula: 'row t attends to positions max(0, t − W + 1) … t        W = 128 in layers 0, 2, 4, …; all in layers 1, 3, 5, …',
  },
  moe: {
    idea: 'Many feed-forwards instead of one, of which a small router picks a few for each token. The parameters multiply while the work per token stays: here 32 experts of a quarter of the width, four of them active.',
    formula: 'r = W_r x; A = the 4 largest of r; w = softmax(r_A)\ny = Σ over e in A of wₑ · SwiGLUₑ(x)',
  },
  'clamped-swiglu': {
    idea: 'gpt-oss bounds what enters the gate, gives its sigmoid the slope 1.702, with which it is nearly GELU, and adds one to the other branch, so that an idle branch passes the gate through instead of blocking it.',
    formula: 'g = min(W_gate x, 7), u = clamp(W_up x, −7, 7)\ny = g · σ(1.702 · g) · (u + 1)',
  },
  'biases-and-sinks': {
    idea:
      'A softmax must spend all of its probability. Heads with nothing to look for learn to spend it on the first token, which then must never leave the cache. gpt-oss gives each head a learned logit that joins the ' +
      'denominator and has no value: a place for probability that should go nowhere. Biases return to attention, to the router and to the experts.',
    formula: 'pₛ = exp(q·kₛ / √K) / (exp(sink_h) + Σ exp(q·kₛ′ / √K))',
  },
  untied: {
    idea: 'GPT-2 uses its embedding table as output matrix too, which saves almost a third of the parameters of the small model. In a large model the table is a few percent, and two tables can specialise.',
    formula: 'logits = W_out · norm(x)        W_out = W_embed in GPT-2, its own in gpt-oss',
  },
  yarn: {
    idea:
      'A model trained on 4,096 tokens has never seen the slow rotations go around. YaRN divides the slow frequencies by the factor of extension, keeps the fast ones, blends between, and sharpens the scores a little. ' +
      'gpt-oss reaches 131,072 tokens this way. (Here the factor of 32 starts at the 1,024 positions of GPT-2.)',
    formula:
      'f′ᵢ = (1 − rᵢ) · fᵢ + rᵢ · fᵢ / 32        rᵢ rises from 0 to 1 between two bounds\ncos and sin times 0.1 · ln 32 + 1 = 1.3466',
  },
  mxfp4: {
    idea:
      'Experts are most of the parameters, and each token reads few of them, so they are stored small: blocks of 32 values of four bits that share a power of two, 4.25 bits per weight. Everything else is bf16. ' +
      'Decoding is a table of sixteen values and a shift, on any machine.',
    formula: 'w = ±{0, 0.5, 1, 1.5, 2, 3, 4, 6} · 2^(scale − 127)',
  },
}

/** The page as text. */
export function stepsPage(): string {
  const models = walkSteps(preset(START)!)
  const facts = models.map((model) => account(model, { context: CONTEXT }))
  const sections = steps.map(({ name, title, source, buys, claims }, index) => {
    const text = TEXTS[name]
    if (!text) throw new Error(`scripts/steps-page.ts: no text for the step ${name}`)
    const [before, after] = [models[index]!, models[index + 1]!]
    return [
      `## ${index + 1}. ${capital(title)}`,
      text.idea,
      `\`\`\`\n${text.formula}\n\`\`\``,
      changes(before, after),
      costs(facts[index]!, facts[index + 1]!),
      `${buys} Source: ${source.paper}, ${source.year}, ${source.link}.${claims.length ? ` See also \`lineage verify ${claims.join(' ')}\`.` : ''}`,
    ].join('\n\n')
  })
  const [first, last] = [facts[0]!, facts.at(-1)!]
  return `${[
    '# From GPT-2 to gpt-oss in steps',
    `Each step is a patch of an architecture (\`src/architecture/steps.ts\`): it changes one idea and leaves all other sizes alone. The costs are those of GPT-2 with 124 million parameters, at a context of ${CONTEXT.toLocaleString('en-US')} ` +
      'tokens, counted by the metered forward pass; `lineage steps --from gpt2-xl` gives them for another start. `node scripts/steps-page.ts` writes this page, and a test compares. The letters are those of `src/ops/ops.ts`.',
    `All steps together: ${row(first).join(', ')} become ${row(last).join(', ')}.`,
    ...sections,
  ].join('\n\n')}\n`
}

const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1)
const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

function changes(before: Architecture, after: Architecture): string {
  return table(
    ['slot', 'before', 'after'],
    difference([before, after]).map(({ label, values }) => [label, ...values]),
  )
}

const COSTS: [label: string, say: (facts: Account) => string][] = [
  ['parameters', ({ parameters }) => parameters.total.toLocaleString('en-US')],
  ['active per token', ({ parameters }) => parameters.active.toLocaleString('en-US')],
  ['bytes of the weights', ({ weightBytes }) => weightBytes.published.toLocaleString('en-US')],
  ['KV cache, bytes in bf16', ({ kvCache }) => kvCache.bytes.toLocaleString('en-US')],
  ['multiply-adds per decoded token', ({ work }) => work.decodeMultiplyAdds.toLocaleString('en-US')],
]

function costs(before: Account, after: Account): string {
  const changed = COSTS.filter(([, say]) => say(before) !== say(after))
  if (!changed.length) return 'Nothing changes in parameters, bytes, cache or work.'
  return table(
    ['cost', 'before', 'after'],
    changed.map(([label, say]) => [label, say(before), say(after)]),
  )
}

function row({ parameters, weightBytes, kvCache, work }: Account): string[] {
  return [
    `${(parameters.total / 1e6).toFixed(1)} million parameters`,
    `${(parameters.active / 1e6).toFixed(1)} million active`,
    `${(weightBytes.published / 2 ** 20).toFixed(0)} MiB of weights`,
    `${(kvCache.bytes / 2 ** 20).toFixed(2)} MiB of cache`,
    `${(work.decodeMultiplyAdds / 1e6).toFixed(1)} million multiply-adds per token`,
  ]
}

if (import.meta.main) {
  writeFileSync(join(root, 'docs', 'steps.md'), stepsPage())
  console.log('docs/steps.md')
}
