//! One task's worker: lanes, watermark, dead letters, full builds; knows nothing of Kubernetes.
