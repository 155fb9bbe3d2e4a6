/* The widget never throws into the customer's page. */

export function report(error) {
  console.warn('webim_offline:', error);
}

/** A handler of events whose errors, those of its promise too, go to the console only. */
export function guarded(handler) {
  return (event) => {
    try {
      const result = handler(event);
      if (result && result.catch) result.catch(report);
    } catch (error) {
      report(error);
    }
  };
}
