import { useEffect, useState } from "react";

import { QAClient } from "potstill";

/**
 * A reader for as long as the component is there. It runs in a thread of its own: the page goes on.
 *
 * @param {string} model the address of a model folder
 * @returns {{ reader?: QAClient, progress: number, error?: Error }} `reader` once it is loaded
 */
export function useReader(model) {
  const [state, setState] = useState({ progress: 0 });
  useEffect(() => {
    const gone = new AbortController();
    const { signal } = gone;
    const onProgress = ({ file, loaded, total }) => {
      // The weights are all that takes time.
      if (file.endsWith(".onnx") && total && !signal.aborted) setState({ progress: loaded / total });
    };
    const opening = QAClient.fromOptions({ model, signal, onProgress });
    opening.then(
      (reader) => signal.aborted || setState({ progress: 1, reader }),
      (error) => signal.aborted || setState({ progress: 0, error }),
    );
    return () => {
      gone.abort();
      opening.then((reader) => reader.dispose(), () => {});
    };
  }, [model]);
  return state;
}
