/** Claims that a program cannot decide here and now: quotations, dates, benchmark scores, and what needs training or real weights. */
import type { Claim } from './claim.ts'

const claim =
  (kind: Claim['kind']) =>
  (id: string, says: string, verdict: Claim['verdict'], instead: string, note?: string): Claim => ({
    id,
    says,
    kind,
    verdict,
    instead,
    note,
  })
const cited = claim('citation')
const trained = claim('training')

export const undecidedClaims: Claim[] = [
  cited(
    'C1',
    'The gpt-oss models are the first open-weight language models of OpenAI since GPT-2.',
    'holds',
    'a date and a licence: gpt-oss model card, section 1',
  ),
  trained(
    'C3',
    'Progress comes mostly from data and algorithms, not from architecture.',
    'open',
    'ablations of data beside ablations of architecture at equal budget',
  ),
  cited(
    'C5',
    'Both models descend from the transformer of 2017 and keep only its decoder.',
    'holds',
    'Vaswani et al. 2017; one forward pass here runs both',
  ),
  trained(
    'C7',
    'In training that sees every token once, dropout hurts.',
    'holds',
    'training with and without dropout, once through fresh data and many times through little: lineage experiment dropout',
    'Liu et al. 2025 measured it at 160M and 1.4B parameters.',
  ),
  trained(
    'C15',
    'Gated feed-forwards are better because they add a multiplicative interaction.',
    'imprecise',
    'training at equal parameters: the step swiglu of lineage ladder',
    'Better than ReLU, GELU and Swish in Shazeer 2020; not better than squared ReLU in all later reports.',
  ),
  cited(
    'C22',
    'GPT-3 already alternated dense and banded sparse attention.',
    'holds',
    'Brown et al. 2020, section 2.1; the width of the band is not published',
  ),
  cited('C24', 'Batch normalisation went out of use because of its dependence on the batch.', 'holds', 'a historical statement'),
  trained('C26', 'Norms keep activations in range and help training.', 'holds', 'training without norms at the same learning rate'),
  cited(
    'C27',
    'One reduction instead of two lowers communication between GPUs.',
    'holds',
    'several devices; the count of reductions is C28',
  ),
  trained(
    'C31',
    'Learning GPT-2 first and stacking the changes is a good way to learn.',
    'opinion',
    'lineage steps shows the steps, lineage ladder trains them',
  ),
  trained(
    'C34',
    'Depth is flexible but hard to train; width is faster and needs more memory.',
    'open',
    'training and timing at equal parameters: lineage experiment depth',
  ),
  cited(
    'C35',
    'In Gemma 2, Table 9, the wider model scored 52.0 and the deeper one 50.8.',
    'wrong',
    'arXiv 2408.00118, Table 9: the wide one has 50.8, the deep one 52.0',
  ),
  trained(
    'C37',
    'At constant size, more and smaller experts are better.',
    'holds',
    'training at equal total and active parameters: lineage experiment experts',
    'As published: DeepSeekMoE, Table 1, losses at 2B from 2.060 (dense) to 1.808 (fine experts).',
  ),
  trained(
    'C40',
    'The 20b model may be a cut-down 120b.',
    'open',
    'both checkpoints: similarity of their embedding rows, which have the same shape',
  ),
  cited(
    'C43',
    'In general, sinks are first tokens that attention always visits and that steady it.',
    'holds',
    'real weights: the share of attention on position 0, and what happens when a rolling cache drops it',
  ),
  cited('C46', 'The data were mostly English, with a focus on science, code and general knowledge.', 'holds', 'the announcement'),
  cited('C48', 'OpenAI released no base models; Qwen3 and OLMo did.', 'holds', 'the model pages'),
  cited(
    'C54',
    'On LM Arena, 2025-08-08, Qwen3-235B-A22B-Instruct-2507 led the open-weight models.',
    'dated',
    'the leaderboard of that day',
  ),
  cited(
    'C55',
    'gpt-oss is on a par with the own models of OpenAI and with Qwen3.',
    'holds',
    'benchmark tables',
    'Bars with and without tools stand side by side in the figure.',
  ),
  cited('C57', 'gpt-oss tends to hallucinate; tools should make up for it.', 'open', 'real weights with and without tools'),
  cited(
    'C58',
    'gpt-oss is surprisingly close to GPT-5.',
    'dated',
    'benchmark tables',
    'The figure gives gpt-oss-20b 60.4 on SWE-bench Verified; the card says 60.7.',
  ),
]
