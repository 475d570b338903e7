/**
 * The library of evaluations in Node.js (`lineage-llm/evaluate`): tasks, subjects and the run of one on the other. The command line uses the
 * same parts.
 */
export { loadTask, readData } from './data-node.ts'
export { ItemError, TaskError } from './errors.ts'
export { type EvaluateOptions, type Evaluation, evaluate, type Progress } from './evaluate.ts'
export type { Sandbox } from './kinds/generate.ts'
export { type LocalModel, localSubject } from './local-subject.ts'
export type { Metric, Outcome, Summary } from './plan.ts'
export type { DataFile } from './records.ts'
export { RemoteError, type RemoteOptions, remoteSubject } from './remote-subject.ts'
export { openResults, type Results } from './results-node.ts'
export { commandSandbox } from './sandbox-node.ts'
export type { Reply, Request, Score, Subject } from './subject.ts'
export { readTask, type Task } from './task.ts'
export { BUILT_IN } from './tasks.ts'
export type { WindowRule } from './windows.ts'
