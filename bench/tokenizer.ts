/**
 * Processor time of loading the published tokenizer of gpt-oss (28 MB, 446,189 merges), each time in a new process.
 *   node bench/tokenizer.ts [TIMES]
 */
import { execFileSync } from 'node:child_process'
import { publishedTokenizer } from '../test/chat/published.ts'

const times = Number(process.argv[2] ?? 5)
if (times === 0) {
  const start = process.cpuUsage()
  await publishedTokenizer()
  const { user, system } = process.cpuUsage(start)
  console.log((user + system) / 1e6)
} else {
  const run = () => Number(execFileSync(process.execPath, [process.argv[1]!, '0'], { encoding: 'utf8' }))
  const seconds = Array.from({ length: times }, run).sort((a, b) => a - b)
  console.log(`seconds of processor time: ${seconds.map((each) => each.toFixed(2)).join(' ')}`)
}
