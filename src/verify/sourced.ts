/** Claims about history, releases and benchmarks: published numbers with their conditions, and what follows from them by arithmetic. */
import { preset, presets } from '../architecture/presets.ts'
import { unpublishedOf } from '../architecture/slots.ts'
import { above, below, claimsOf, exactly, type Measurement, published, rounded } from './claim.ts'
import { days, IDEAS, RELEASES, type Release, release, TRAINING_DATA } from './published/releases.ts'
import { cite } from './published/sources.ts'
import { type Bench, GEMMA_WIDTH_DEPTH, LM_ARENA, PERSON_QA, PRINTED, SCORES, type Score, scoreOf } from './published/tables.ts'
import { rightRow } from './rows.ts'

const list = (of: (release: Release) => boolean): string =>
  RELEASES.filter(of)
    .map(({ model }) => model)
    .join(' ')
/** A row on the difference of two scores, with the sources of both. */
const difference = (what: string, a: Score, b: Score, expected: number): Measurement => ({
  ...rounded(what, a.score - b.score, expected, 1),
  from: [...new Set([cite(a), cite(b)])].join(' and '),
})
const { rows: arena } = LM_ARENA
const bestOpen = arena.filter(({ open }) => open).reduce((best, row) => (row.score > best.score ? row : best))

export const sourcedClaims = claimsOf('published', [
  {
    id: 'C1',
    says: 'The gpt-oss models are the first open-weight language models of OpenAI since GPT-2.',
    verdict: 'holds',
    note: 'Open weights under Apache 2.0, without data and training code; of the models listed here only OLMo 2 comes with both.',
    check: () => [
      ...published(
        release('gpt-oss-120b'),
        exactly(
          'releases of OpenAI with weights',
          list(({ by }) => by === 'OpenAI'),
          'gpt2-xl gpt-oss-20b gpt-oss-120b',
        ),
      ),
      ...published(
        release('gpt2-xl'),
        exactly('years from the last GPT-2 to gpt-oss', Math.floor(days(release('gpt2-xl').day, release('gpt-oss-20b').day) / 365.25), 5),
      ),
      ...published(
        release('gpt-oss-120b'),
        exactly('licence of gpt-oss', release('gpt-oss-120b').licence, 'Apache-2.0'),
        exactly('what is open', release('gpt-oss-120b').open, 'weights'),
      ),
      ...published(
        release('OLMo-2-7B'),
        exactly(
          'also data and training code',
          list(({ open }) => open.includes('data')),
          'OLMo-2-7B',
        ),
      ),
      ...published(
        release('Llama-3-8B'),
        exactly(
          'with terms of use of their own',
          list(({ open }) => open.includes('terms')),
          'Llama-3-8B Gemma-3-27B DeepSeek-V3',
        ),
      ),
    ],
  },
  {
    id: 'C22',
    says: 'GPT-3 already alternated dense and banded sparse attention.',
    verdict: 'holds',
    note: 'The width of the band was not published. Local bands are older than Longformer, to which the article gives the sliding window: the Sparse Transformer had them a year before.',
    check: () => {
      const layers = preset('GPT-3')!.layers
      const banded = layers.map((layer) => unpublishedOf(layer)?.window === true)
      return [
        ...published(
          IDEAS.gpt3Bands,
          exactly('layers of GPT-3 with a band of unknown width', banded.filter(Boolean).length, layers.length / 2),
          exactly('… alternating', banded.every((band, i) => band !== banded[i + 1]) ? 'yes' : 'no', 'yes'),
        ),
        ...published(IDEAS.localBands, above('days from local bands to Longformer', days(IDEAS.localBands.day, IDEAS.longformer.day), 300)),
        ...published(IDEAS.longformer, above('days from Longformer to GPT-3', days(IDEAS.longformer.day, IDEAS.gpt3Bands.day), 0)),
      ]
    },
  },
  {
    id: 'C35',
    says: 'In Gemma 2, Table 9, the wider model scored 52.0 and the deeper one 50.8.',
    verdict: 'wrong',
    note: 'Reversed: the deep one has 52.0. Section 2.3 of the article says that deep networks beat wide ones, and section 3.1 that the wide one won; with the numbers the right way round the two agree.',
    check: () => {
      const read = PRINTED.gemmaWide.value - PRINTED.gemmaDeep.value
      return [
        ...published(
          GEMMA_WIDTH_DEPTH,
          exactly('score of the wide model', GEMMA_WIDTH_DEPTH.wide, 50.8),
          exactly('score of the deep model', GEMMA_WIDTH_DEPTH.deep, 52),
          rounded('deep less wide, in the table', GEMMA_WIDTH_DEPTH.deep - GEMMA_WIDTH_DEPTH.wide, 1.2, 1),
        ),
        ...published(PRINTED.gemmaWide, rounded('deep less wide, as the article reads it', -read, -1.2, 1)),
      ]
    },
  },
  {
    id: 'C46',
    says: 'The data were mostly English, with a focus on science, code and general knowledge.',
    verdict: 'holds',
    note: 'As announced; the data themselves were not published, so nobody outside can count.',
    check: () => [
      ...published(
        TRAINING_DATA.gptOss,
        exactly('language of the text', TRAINING_DATA.gptOss.language, 'mostly English'),
        exactly('focus', TRAINING_DATA.gptOss.focus, 'STEM, coding, general knowledge'),
        exactly('data published', TRAINING_DATA.gptOss.published, 'none'),
      ),
      ...published(TRAINING_DATA.qwen3, exactly('for comparison, Qwen3', TRAINING_DATA.qwen3.language, '119 languages and dialects')),
    ],
  },
  {
    id: 'C48',
    says: 'OpenAI released no base models; Qwen3 and OLMo did.',
    verdict: 'holds',
    note: 'Of the Qwen3 mixtures the 30B one has a base model, the 235B one has none.',
    check: () => {
      const names = presets.map(({ name }) => name)
      const bases = (start: string) => names.filter((name) => name.startsWith(start) && name.endsWith('Base')).length
      const says = (model: string) => (release(model).base ? 'yes' : 'no')
      return [
        ...published(release('gpt-oss-20b'), exactly('base model of gpt-oss', says('gpt-oss-20b'), 'no')),
        ...published(release('Qwen3-30B-A3B'), exactly('base model of Qwen3-30B-A3B', says('Qwen3-30B-A3B'), 'yes')),
        ...published(release('Qwen3-235B-A22B'), exactly('base model of Qwen3-235B-A22B', says('Qwen3-235B-A22B'), 'no')),
        ...published(release('OLMo-2-7B'), exactly('base model of OLMo 2', says('OLMo-2-7B'), 'yes')),
        above('presets here of Qwen3 base models', bases('Qwen3'), 4),
        exactly('presets here of gpt-oss base models', bases('gpt-oss'), 0),
      ]
    },
  },
  {
    id: 'C54',
    says: 'On LM Arena, 2025-08-08, Qwen3-235B-A22B-Instruct-2507 led the open-weight models.',
    verdict: 'dated',
    note: 'True on that day: eight points before the next open one, one point behind the closed one above.',
    check: () =>
      published(
        LM_ARENA,
        exactly('best model with open weights', bestOpen.model, 'qwen3-235b-instruct-2507'),
        exactly('its score', bestOpen.score, 1428),
        exactly('models above it in the list, all closed', arena.filter(({ score, open }) => score > bestOpen.score && !open).length, 6),
        exactly(
          'lead over the next with open weights',
          bestOpen.score - Math.max(...arena.filter((row) => row.open && row !== bestOpen).map((row) => row.score)),
          8,
        ),
        exactly('gpt-oss in the list', arena.some(({ model }) => model.includes('oss')) ? 'yes' : 'no', 'no'),
      ),
  },
  {
    id: 'C55',
    says: 'gpt-oss is on a par with the own models of OpenAI and with Qwen3.',
    verdict: 'holds',
    note: 'On these two tasks. The figure sets bars with and without tools side by side; only like with like is compared here.',
    check: () => {
      const aime = (model: string, tools: Score['tools'] = 'no tools') => scoreOf('AIME 2025', model, tools)
      const gpqa = (model: string) => scoreOf('GPQA Diamond', model, 'no tools')
      const [large, qwen] = ['gpt-oss-120b', 'Qwen3-235B-Thinking-2507'] as const
      return [
        difference('AIME 2025 with tools: 120b less o4-mini', aime(large, 'tools'), aime('o4-mini', 'tools'), -1.6),
        difference(`AIME 2025 without tools: 120b less ${qwen}`, aime(large), aime(qwen), 0.2),
        difference('GPQA without tools: 120b less o4-mini', gpqa(large), gpqa('o4-mini'), -1.3),
        difference(`GPQA without tools: 120b less ${qwen}`, gpqa(large), gpqa(qwen), -1),
        difference('what tools alone change for 120b on AIME 2025', aime(large, 'tools'), aime(large), 5.4),
        ...published(
          aime('o3-mini'),
          exactly(
            'bar of o3-mini on AIME 2025: tools',
            SCORES.filter(({ model, bench }) => model === 'o3-mini' && bench === 'AIME 2025')
              .map(({ tools }) => tools)
              .join(),
            'no tools',
          ),
        ),
      ]
    },
  },
  {
    id: 'C57',
    says: 'gpt-oss tends to hallucinate; tools should make up for it.',
    kind: 'training',
    verdict: 'holds',
    note: 'The rates are those of its makers. The run shows the mechanism in a small model: asked for facts that it never saw it answers all the same, always wrongly; with a tool it calls the tool and is right.',
    experiments: ['look-up'],
    check: async (_, evidence) => {
      const run = await evidence.training('look-up')
      return [
        ...published(
          PERSON_QA,
          above('wrong answers of 120b on PersonQA, %', PERSON_QA.rates['gpt-oss-120b'], PERSON_QA.rates['o4-mini']),
          above('wrong answers of 20b, %', PERSON_QA.rates['gpt-oss-20b'], PERSON_QA.rates['gpt-oss-120b']),
        ),
        rightRow(run, 'from memory, facts shown in training', 'memory, facts shown in training', 'above', 70),
        rightRow(run, 'from memory, facts never shown (guessing: 1.6 %)', 'memory, facts never shown', 'below', 10),
        rightRow(run, 'with a tool, facts never shown', 'tool, facts never shown', 'above', 95),
      ]
    },
  },
  {
    id: 'C58',
    says: 'gpt-oss is surprisingly close to GPT-5.',
    verdict: 'dated',
    note: 'On AIME 2025 within a few points, on the other tasks 5 to 16 below. The figure prints 60.4 for gpt-oss-20b on SWE-bench Verified; the card says 60.7.',
    check: () => {
      const gap = (bench: Bench, tools: Score['tools'], expected: number) =>
        difference(
          `${bench}, ${tools === 'own' ? 'in its environment' : tools}: GPT-5 less 120b`,
          scoreOf(bench, 'GPT-5', tools),
          scoreOf(bench, 'gpt-oss-120b', tools),
          expected,
        )
      const swe = scoreOf('SWE-bench Verified', 'gpt-oss-20b', 'own')
      const [small, large] = (['gpt-oss-20b', 'gpt-oss-120b'] as const).map((model) => scoreOf('HLE', model, 'no tools')) as [Score, Score]
      return [
        gap('AIME 2025', 'tools', 1.7),
        gap('AIME 2025', 'no tools', 2.1),
        gap('GPQA Diamond', 'no tools', 5.6),
        gap('HLE', 'tools', 16.2),
        gap('HLE', 'no tools', 9.9),
        gap('SWE-bench Verified', 'own', 12.5),
        ...published(swe, exactly('gpt-oss-20b on SWE-bench Verified, card', swe.score, 60.7)),
        ...published(PRINTED.swe20b, exactly('… as the figure prints it', PRINTED.swe20b.value, 60.4)),
        ...published(small, below('HLE without tools: 20b less 120b', small.score - large.score, 0)),
      ]
    },
  },
])
