"""What is said of a picture that can't be read."""


class PictureError(ValueError):
    """The picture can't be read as one character; the message tells its sender why."""


BLANK = "The picture is blank: draw one character, in a colour that stands out."
SEVERAL = "The picture shows several characters side by side: send one at a time."
