/**
 * framesift for your own page: pick a varied, sharp set of stills of the people in a video, in the browser, without an
 * upload. `scan` is the short way; `Engine` is what the framesift page itself is made of.
 */

export { type LoadOptions, load, supportedVariant } from './assets';
export { Engine, MAX_WORKERS } from './engine';
export * from './manifest';
export type {
  Assets, Candidate, Failure, FromJob, FullFrame, Kept, KeptScan, Portrait, Progress, Variant, VideoFacts,
} from './protocol';
export { type Exported, type ExportSettings, type Scan, ScanError, type ScanEvent, type ScanOptions, type ScanSettings, scan } from './scan';
