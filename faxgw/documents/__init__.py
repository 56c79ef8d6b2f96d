"""Documents in and out: what people send turned into fax pages, received pages turned into TIFF and PDF."""
