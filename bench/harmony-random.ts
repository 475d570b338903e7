/**
 * 100,000 random sequences of ids through the reader of harmony, with the published tokenizer. Prints the time; fails on an exception,
 * a lost character, or an illegal sequence without a warning.
 *   node bench/harmony-random.ts [SEQUENCES] [SEED]
 */
import { randomAnswers } from '../test/chat/harmony-answers.ts'
import { publishedTokenizer } from '../test/chat/published.ts'

const [sequences = '100000', seed = '1'] = process.argv.slice(2)
const tokenizer = await publishedTokenizer()
const start = process.cpuUsage()
const { unwarned } = randomAnswers(tokenizer, Number(sequences), Number(seed))
const { user, system } = process.cpuUsage(start)
console.log(`${sequences} sequences, ${unwarned} illegal ones without a warning, ${((user + system) / 1e6).toFixed(1)} s of processor time`)
if (unwarned > 0) process.exitCode = 1
