/** Claims about training: recorded runs of small models, `lineage verify --train` repeats them; beside them what was published at scale. */
import { mean } from '../numbers/statistics.ts'
import { dataAgainstArchitecture, of, percent } from '../train/results.ts'
import { above, below, type Claim, claimsOf, exactly, published, rounded } from './claim.ts'
import { days, IDEAS } from './published/releases.ts'
import { DROPOUT_ONE_PASS, EXPERT_LOSSES, GLU_VARIANTS, NANOCHAT_DATA, NANOCHAT_GATE } from './published/tables.ts'
import { earlierRow, fromRuns, lossesRow, lossRow, ratioRow, recordedAs, speedRow, timed } from './rows.ts'

const SMALL = 'Models of 0.1 to 0.4 million parameters and a minute of training: the sign and the mechanism, not the size at scale.'

export const trainedClaims: Claim[] = claimsOf('training', [
  {
    id: 'C3',
    says: 'Progress comes mostly from data and algorithms, not from architecture.',
    verdict: 'imprecise',
    note: 'Both matter, and which matters more is a question of which change of each is taken: cleaning a fifth of the text here against all parts from GPT-2 to a gated model with rotary positions. The article marks the sentence as a guess.',
    experiments: ['data'],
    check: async (_, evidence) => {
      const run = await evidence.training('data')
      const { byData, byArchitecture } = dataAgainstArchitecture(run.runs)
      const from = recordedAs(run)
      return [
        lossRow(run, 'same GPT-2, clean text for one with a fifth spoiled', ['GPT-2, a fifth spoiled', 'GPT-2, clean text'], 'better'),
        lossRow(run, 'same clean text, modern parts for those of GPT-2', ['GPT-2, clean text', 'modern, clean text'], 'better'),
        { ...below('mean change by data', byData, 0), from },
        { ...below('mean change by architecture', byArchitecture, 0), from },
        ...published(
          NANOCHAT_DATA,
          rounded(
            'time to the quality of GPT-2 saved by other data alone, %',
            100 * (1 - NANOCHAT_DATA.after / NANOCHAT_DATA.before),
            27,
            0,
          ),
        ),
      ]
    },
  },
  {
    id: 'C7',
    says: 'In training that sees every token once, dropout hurts.',
    verdict: 'holds',
    note: `And in many passes over little text it helps. ${SMALL}`,
    experiments: ['dropout'],
    check: async (_, evidence) => {
      const run = await evidence.training('dropout')
      return [
        earlierRow('dropoutOnce', 'above', 0),
        earlierRow('dropoutOften', 'below', 0),
        ...fromRuns(run, () => [
          lossRow(run, 'change of the last loss by p = 0.2, less than one pass', ['one pass, p = 0', 'one pass, p = 0.2'], 'worse'),
          lossRow(run, 'the same after many passes over 10,000 characters', ['many passes, p = 0', 'many passes, p = 0.2'], 'better'),
        ]),
        ...published(
          DROPOUT_ONE_PASS,
          exactly('published models that are better without', DROPOUT_ONE_PASS.betterWithout, DROPOUT_ONE_PASS.models.length),
        ),
      ]
    },
  },
  {
    id: 'C15',
    says: 'Gated feed-forwards are better because they add a multiplicative interaction.',
    verdict: 'imprecise',
    note: 'Better than ReLU, GELU and Swish at equal parameters, here and as published; not better than squared ReLU in a later recipe. Gated units are from 2016, not 2020, when they came into transformers.',
    experiments: ['gate'],
    check: async (_, evidence) => {
      const run = await evidence.training('gate')
      const { scores, deviation } = GLU_VARIANTS
      const gated = ['GLU', 'GEGLU', 'Bilinear', 'SwiGLU', 'ReGLU'] as const
      const plain = ['ReLU', 'GELU', 'Swish'] as const
      return [
        earlierRow('ladderGate', 'below', 0),
        lossRow(run, 'the same in a sixth of the steps, two layers, generated text', ['GELU without a gate', 'SwiGLU'], 'lower'),
        ...published(
          GLU_VARIANTS,
          above(
            'worst gated less best plain score, in printed deviations',
            (Math.min(...gated.map((name) => scores[name])) - Math.max(...plain.map((name) => scores[name]))) / deviation,
            1,
          ),
        ),
        ...published(NANOCHAT_GATE, exactly('SwiGLU better than squared ReLU in nanochat', NANOCHAT_GATE.better ? 'yes' : 'no', 'no')),
        ...published(IDEAS.gatedUnit, exactly('year of gated linear units', IDEAS.gatedUnit.day.slice(0, 4), '2016')),
        ...published(
          IDEAS.gatedFeedForward,
          exactly('year of gated feed-forwards in transformers', IDEAS.gatedFeedForward.day.slice(0, 4), '2020'),
        ),
      ]
    },
  },
  {
    id: 'C26',
    says: 'Norms keep activations in range and help training.',
    verdict: 'holds',
    note: `Four layers at the same learning rate. ${SMALL}`,
    experiments: ['norms'],
    check: async (_, evidence) => {
      const run = await evidence.training('norms')
      const without = of(run.runs, 'no norm')
      const diverged = without.filter((result) => result.diverged !== undefined)
      return [
        lossesRow(run, 'loss with RMSNorm', 'RMSNorm'),
        {
          what: 'without norms: runs that diverged, or loss',
          expected: 'diverged, or a higher loss',
          measured: `${diverged.length} of ${without.length} diverged; loss ${without.map(({ loss }) => loss.toFixed(3)).join(', ')}`,
          agrees:
            without.length > 0 &&
            without.every(
              (result) => result.diverged !== undefined || result.loss > Math.max(...of(run.runs, 'RMSNorm').map(({ loss }) => loss)),
            ),
          from: recordedAs(run),
        },
      ]
    },
  },
  {
    id: 'C34',
    says: 'Depth is flexible but hard to train; width is faster and needs more memory.',
    verdict: 'imprecise',
    note: 'At equal parameters four layers read text better than one, and one is faster. More memory: true of the activations of a layer, not of the cache, which grows with layers times key and value heads: the deep model of C33 needs four times as much.',
    experiments: ['depth'],
    check: async (_, evidence) => {
      const run = await evidence.training('depth')
      const { wide, deep, date, machine } = await evidence.times()
      const from = timed('C34', date, machine)
      return [
        earlierRow('depth', 'below', 0),
        ...fromRuns(run, () => [
          lossRow(run, 'the same in half the steps, generated text', ['1 layer of 128', '4 layers of 64'], 'lower'),
          speedRow(run, 'speed of training, one wide layer over four narrow ones', ['4 layers of 64', '1 layer of 128'], 1),
        ]),
        {
          ...rounded('random models of 12 narrow and 6 wide layers: parameters, deep over wide', deep.parameters / wide.parameters, 1, 1),
          from,
        },
        ratioRow('time of a prompt, deep over wide', deep.prompt / wide.prompt, 0.6, from, '> 0.6 (about 1.1 on a quiet machine)'),
        ratioRow('time of a token, deep over wide', deep.token / wide.token, 0.6, from, '> 0.6 (about 1.1 on a quiet machine)'),
      ]
    },
  },
  {
    id: 'C37',
    says: 'At constant size, more and smaller experts are better.',
    verdict: 'holds',
    note: 'As published at 2B. In small models at equal total and active width the difference is within the noise.',
    experiments: ['experts'],
    check: async (_, evidence) => {
      const run = await evidence.training('experts')
      const { losses, shared } = EXPERT_LOSSES
      return [
        ...published(
          EXPERT_LOSSES,
          exactly(
            'order of losses, best first',
            Object.entries(losses)
              .sort(([, a], [, b]) => a - b)
              .map(([name]) => name)
              .join(', '),
            'DeepSeekMoE, GShard, Switch, Hash, top 1, dense',
          ),
          rounded('fine experts less large ones (GShard)', losses.DeepSeekMoE - losses.GShard, -0.059, 3),
          below('spread by the number of shared experts', Math.max(...Object.values(shared)) - Math.min(...Object.values(shared)), 0.01),
        ),
        earlierRow('smallExperts', 'within', 0.03),
        ...fromRuns(run, () => [
          lossRow(
            run,
            'here: 16 experts of 32, 8 active, less 4 of 128, 2 active',
            ['4 experts of 128, 2 active', '16 experts of 32, 8 active'],
            'same',
            0.05,
          ),
        ]),
      ]
    },
  },
  {
    id: 'C40',
    says: 'The 20b model may be a cut-down 120b.',
    verdict: 'holds',
    note: 'It may: all widths are equal (C39), and in small models half of the experts and two thirds of the layers, trained on, beat the same model from fresh weights after as many steps. Whether it was done only the two checkpoints can tell, by the similarity of their embedding rows. The article marks it as a guess.',
    experiments: ['cut-down'],
    check: async (_, evidence) => {
      const run = await evidence.training('cut-down')
      return [
        lossesRow(run, 'loss, cut out of the larger model and trained on', 'cut out and trained on'),
        lossesRow(run, 'loss, from fresh weights', 'from fresh weights'),
        lossRow(run, 'change by starting from the larger model', ['from fresh weights', 'cut out and trained on'], 'better'),
      ]
    },
  },
  {
    id: 'C43',
    says: 'In general, sinks are first tokens that attention always visits and that steady it.',
    verdict: 'holds',
    note: `They may store nothing general: a head with nothing to find parks its attention there. The denominator of gpt-oss has a forerunner two months before StreamingLLM. ${SMALL}`,
    experiments: ['sinks'],
    check: async (_, evidence) => {
      const run = await evidence.training('sinks')
      const mass = (label: string, place: 'first' | 'sink') =>
        mean(of(run.runs, label).map((result) => result.attention?.[1]?.[place] ?? Number.NaN))
      const [without, withSinks, sink] = [mass('without sinks', 'first'), mass('sinks from 4', 'first'), mass('sinks from 4', 'sink')]
      const from = recordedAs(run)
      return [
        earlierRow('sinkNone', 'above', 14),
        earlierRow('sinkFour', 'below', 14),
        earlierRow('sinkShare', 'above', 3),
        ...fromRuns(run, () => [
          {
            what: 'questions without an answer: attention on the first token, second layer',
            expected: '> 14 % (an even share is 7)',
            measured: percent(without),
            agrees: without > 0.14,
            from,
          },
          {
            what: '… with a sink logit',
            expected: 'less than 0.7 of that',
            measured: percent(withSinks),
            agrees: withSinks < 0.7 * without,
            from,
          },
          { what: '… that goes to the sink instead', expected: '> 3 %', measured: percent(sink), agrees: sink > 0.03, from },
        ]),
        ...published(
          IDEAS.offByOne,
          above('days from the constant in the denominator to StreamingLLM', days(IDEAS.offByOne.day, IDEAS.streaming.day), 30),
        ),
      ]
    },
  },
])

export const opinions: Claim[] = claimsOf('opinion', [
  {
    id: 'C31',
    says: 'Learning GPT-2 first and stacking the changes is a good way to learn.',
    verdict: 'opinion',
    instead: 'learners, not models: lineage steps shows the way, lineage ladder trains along it',
  },
])
