/**
 * A server on scripted ids for client suites that bring their own process: `node test/server/suite-server.ts [PORT] [CASES.jsonl]`.
 * It plays a harmony model that thinks, calls a fitting tool once, and then answers. CASES (lines with `input`, `tool_name`,
 * `expected_arguments`) says which tool fits which question; otherwise it is the first one, with arguments made from its type.
 */
import { readFileSync } from 'node:fs'
import { createApp } from '../../src/server/http/app.ts'
import { listen } from '../../src/server/node.ts'
import { analysis, call, final, scriptedModel } from './scripted-app.ts'

const [port = '8099', casesFile] = process.argv.slice(2)
const cases = new Map<string, { tool_name: string; expected_arguments: string }>()
for (const line of casesFile ? readFileSync(casesFile, 'utf8').split('\n') : []) {
  if (line.trim() === '') continue
  const one = JSON.parse(line)
  cases.set(one.input, one)
}

function answer(prompt: string): string {
  const turns = [...prompt.matchAll(/<\|start\|>user<\|message\|>(.*?)<\|end\|>/gs)]
  const question = turns.at(-1)?.[1] ?? ''
  const since = prompt.slice(turns.at(-1)?.index ?? 0)
  const result = /functions\.\S+ to=assistant<\|channel\|>commentary<\|message\|>(.*?)<\|end\|>/s.exec(since)?.[1]
  if (result !== undefined) return analysis('The tool has answered.') + final(`The result is ${result}.`)
  const tools = [...prompt.matchAll(/^type (\w+) = \((?:_: (\{.*?\n\}))?\) => any;/gms)]
  const known = cases.get(question)
  if (known) return analysis('A tool fits this.') + call(known.tool_name, known.expected_arguments)
  const first = tools[0]
  if (first) return analysis('A tool fits this.') + call(first[1]!, argumentsFor(first[2] ?? '', question))
  return analysis('No tool is needed.') + final(question.toLowerCase().includes('count') ? '1, 2, 3, 4, 5' : `You said: ${question}`)
}

/** Something valid for every required property of a rendered type. */
function argumentsFor(type: string, text: string): string {
  const fields = [...type.matchAll(/^(\w+): ([^,\n]+),/gm)].map(([, name, kind]) => {
    const choice = /^"([^"]*)"/.exec(kind!)
    return [name, choice ? choice[1] : kind === 'number' ? 1 : kind === 'boolean' ? true : kind!.endsWith('[]') ? [] : text]
  })
  return JSON.stringify(Object.fromEntries(fields))
}

const { model } = scriptedModel(answer, 'harmony', { slots: 8 })
const app = createApp({
  models: [{ id: 'scripted', load: async () => model }],
  log: (line) => line.level === 'error' && console.error(JSON.stringify(line)),
})
const listening = await listen(app, { port: Number(port) })
console.log(`scripted model at ${listening.url}/v1`)
process.once('SIGTERM', () => void listening.close(1000))
