"""Why a picture is not read. Each message is one sentence for the person who sent the picture."""


class InvalidImage(ValueError):
    """An upload that is no readable picture of something written."""

    status = 400  # of the HTTP answer


class BlankImage(InvalidImage):
    """A picture without ink."""

    def __init__(self) -> None:
        super().__init__("The image is blank: no ink stands out from the background.")


class ImageTooLarge(InvalidImage):
    """An upload with more pixels than are allowed."""

    status = 413


class TooMuchWork(ImageTooLarge):
    """A picture that would take more processor time than one request may use."""


class OutOfTime(TimeoutError):
    """The deadline of a request passed while its picture was read."""

    status = 504

    def __init__(self) -> None:
        super().__init__("The picture could not be read in time.")
